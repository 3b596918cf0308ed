/** How readings are shown: one over the others, beside each other, or where they differ. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { MaskInfo, ToReview } from "../api/client";
import { Board, type Subject } from "../draw/board";
import type { Looks } from "../draw/compose";
import type { Hand } from "../draw/hand";
import type { ClassMap } from "../draw/pixels";
import { outline } from "../draw/tools";
import { t } from "../texts";
import type { Scene, Sight } from "./sight";

const text = t.review;

/** A slice to review with everything that is shown of it. */
export interface Opened extends Scene {
  item: ToReview;
  maps: Map<number, ClassMap>;
}

export type Layout = "overlay" | "sideBySide" | "disagreement";
export const LAYOUTS: Layout[] = ["overlay", "sideBySide", "disagreement"];

export const LOOKS: Omit<Looks, "window"> = {
  maskOpacity: 0.4,
  suggestion: true,
  uncertaintyOpacity: 0,
};
const HEAT_LOOKS: typeof LOOKS = { maskOpacity: 0, suggestion: false, uncertaintyOpacity: 0.9 };
const NO_HAND: Hand = { tool: "brush", value: 1, size: 5, tolerance: 0.1 };

/** A slice, and how its readings are looked at. */
interface Shown {
  opened: Opened;
  selected: number;
  layout: Layout;
  classCount: number;
  sight: Sight;
}

export function Panes(props: Shown) {
  const { opened, layout, classCount, sight } = props;
  const { item, picture, maps } = opened;
  const common = { picture, classCount, sight };
  if (layout === "sideBySide") {
    return (
      <>
        {item.readings.map((reading) => (
          <Pane
            key={reading.id}
            {...common}
            caption={nameOf(reading)}
            mask={maps.get(reading.id)!}
            looks={LOOKS}
          />
        ))}
      </>
    );
  }
  return <OnePane {...props} />;
}

/** All readings in one pane. */
function OnePane(props: Shown) {
  const { opened, selected, layout, classCount, sight } = props;
  const { item, picture, maps } = opened;
  const edges = useMemo(
    () => joined([...maps].filter(([id]) => id !== selected).map(([, map]) => map)),
    [maps, selected],
  );
  const heat = useMemo(
    () => disagreement([...maps.values()].map(({ classes }) => classes)),
    [maps],
  );
  const common = { picture, classCount, sight, mask: maps.get(selected)! };
  if (layout === "disagreement") {
    const differing = heat.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    return (
      <Pane
        {...common}
        caption={text.disagreementPixels(differing)}
        heat={heat}
        looks={HEAT_LOOKS}
      />
    );
  }
  const caption = nameOf(item.readings.find(({ id }) => id === selected)!);
  return <Pane {...common} caption={caption} edges={edges} looks={LOOKS} />;
}

function nameOf(reading: MaskInfo): string {
  return reading.source === "consensus" ? text.consensus : reading.author;
}

/** Where readings differ: 255 times the share of readings that are not of the commonest class. */
function disagreement(readings: Uint8Array[]): Uint8Array {
  return Uint8Array.from(readings[0], (_, index) => {
    const counts = new Map<number, number>();
    for (const reading of readings) {
      counts.set(reading[index], (counts.get(reading[index]) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    return Math.round((255 * (readings.length - most)) / Math.max(readings.length - 1, 1));
  });
}

/** The outlines of several maps in one. */
function joined(maps: ClassMap[]): Uint8Array | null {
  if (maps.length === 0) return null;
  const edge = outline(maps[0]);
  for (const map of maps.slice(1)) {
    outline(map).forEach((value, index) => {
      if (value > 0) edge[index] = value;
    });
  }
  return edge;
}

function Pane(props: {
  caption: string;
  picture: Subject["picture"];
  mask: ClassMap;
  edges?: Uint8Array | null;
  heat?: Uint8Array;
  classCount: number;
  looks: Omit<Looks, "window">;
  sight: Sight;
}) {
  const { picture, mask, edges, heat, classCount, looks, sight } = props;
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const latest = useRef(sight);
  latest.current = sight;
  const { window, other, boards, offset } = sight;
  useEffect(() => {
    const made: Board = new Board(host.current!, { ...looks, window }, NO_HAND, {
      windowed: (window) => latest.current.setWindow(window),
      scrolled: (by) => latest.current.look(by),
      viewed: (view) => boards.follow(made, view),
    });
    board.current = made;
    boards.add(made);
    return () => {
      boards.remove(made);
      made.remove();
    };
  }, [boards]);
  useEffect(() => {
    board.current?.setLooks({ ...looks, window });
  }, [looks, window]);
  useEffect(() => {
    board.current?.show({
      picture,
      mask,
      suggestion: null,
      suggestionOutline: edges ?? null,
      uncertainty: heat ?? null,
      classCount,
      locked: true,
    });
  }, [picture, mask, edges, heat, classCount]);
  // Whatever is shown anew begins at home; the neighbour stays in sight.
  useEffect(() => board.current?.lookAt(other), [other, picture, mask, edges, heat]);
  return (
    <figure class="pane">
      <figcaption>{offset === 0 ? props.caption : t.annotate.neighbour(offset)}</figcaption>
      <div class="board" ref={host} role="img" aria-label={props.caption} data-offset={offset} />
    </figure>
  );
}
