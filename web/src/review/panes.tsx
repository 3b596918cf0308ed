/** How readings are shown: one over the others, beside each other, or where they differ. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { MaskInfo, ToReview } from "../api/client";
import { Board } from "../draw/board";
import type { OverlaySettings } from "../draw/compose";
import type { ClassMap } from "../draw/pixels";
import type { ToolSettings } from "../draw/tool-settings";
import { outline } from "../draw/tools";
import { EdgeLetters } from "../instruments/edge-letters";
import type { ViewedSlice } from "../instruments/viewer";
import { t } from "../texts";
import type { SharedView } from "./shared-view";

const text = t.review;

/** A slice to review with everything that is shown of it. */
export interface Opened extends ViewedSlice {
  item: ToReview;
  maps: Map<number, ClassMap>;
}

export type Layout = "overlay" | "sideBySide" | "disagreement";
export const LAYOUTS: Layout[] = ["overlay", "sideBySide", "disagreement"];

export const OVERLAYS: OverlaySettings = {
  maskOpacity: 0.4,
  suggestion: true,
  uncertaintyOpacity: 0,
};
const HEAT_OVERLAYS: OverlaySettings = {
  maskOpacity: 0,
  suggestion: false,
  uncertaintyOpacity: 0.9,
};
/** Panes are only looked at. */
const NO_TOOL: ToolSettings = { kind: "brush", value: 1, size: 5, tolerance: 0.1 };

/** A slice, and how its readings are looked at. */
interface Shown {
  opened: Opened;
  selected: number;
  layout: Layout;
  classCount: number;
  shared: SharedView;
}

export function Panes(props: Shown) {
  const { opened, layout, classCount, shared } = props;
  const { item, maps } = opened;
  const common = { opened, classCount, shared };
  if (layout === "sideBySide") {
    return (
      <>
        {item.readings.map((reading) => (
          <Pane
            key={reading.id}
            {...common}
            caption={nameOf(reading)}
            mask={maps.get(reading.id)!}
            overlays={OVERLAYS}
          />
        ))}
      </>
    );
  }
  return <OnePane {...props} />;
}

/** All readings in one pane. */
function OnePane(props: Shown) {
  const { opened, selected, layout, classCount, shared } = props;
  const { item, maps } = opened;
  const edges = useMemo(
    () => joined([...maps].filter(([id]) => id !== selected).map(([, map]) => map)),
    [maps, selected],
  );
  const heat = useMemo(
    () => disagreement([...maps.values()].map(({ classes }) => classes)),
    [maps],
  );
  const common = { opened, classCount, shared, mask: maps.get(selected)! };
  if (layout === "disagreement") {
    const differing = heat.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    return (
      <Pane
        {...common}
        caption={text.disagreementPixels(differing)}
        heat={heat}
        overlays={HEAT_OVERLAYS}
      />
    );
  }
  const caption = nameOf(item.readings.find(({ id }) => id === selected)!);
  return <Pane {...common} caption={caption} edges={edges} overlays={OVERLAYS} />;
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
  opened: Opened;
  mask: ClassMap;
  edges?: Uint8Array | null;
  heat?: Uint8Array;
  classCount: number;
  overlays: OverlaySettings;
  shared: SharedView;
}) {
  const { opened, mask, edges, heat, classCount, overlays, shared } = props;
  const { aspect, orientation } = opened;
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const { picture, window, other, boards, offset } = shared;
  useEffect(() => {
    const made: Board = new Board(host.current!, { ...overlays, window }, NO_TOOL, {
      windowed: (window) => shared.setWindow(window),
      scrolled: (by) => shared.look(by),
      viewed: (view) => boards.follow(made, view),
      pointed: (pixel) => shared.pointed.set(pixel),
    });
    board.current = made;
    boards.add(made);
    return () => {
      boards.remove(made);
      made.remove();
    };
  }, [boards]);
  useEffect(() => {
    board.current?.setDisplay({ ...overlays, window });
  }, [overlays, window]);
  useEffect(() => {
    if (!picture) return;
    board.current?.show({
      picture,
      aspect,
      mask,
      suggestion: null,
      suggestionOutline: edges ?? null,
      uncertainty: heat ?? null,
      classCount,
      locked: true,
    });
  }, [picture, aspect, mask, edges, heat, classCount]);
  // `show` goes back to the slice itself: a neighbour that is looked at is shown again.
  useEffect(() => board.current?.lookAt(other), [other, picture, mask, edges, heat]);
  const caption = offset === 0 ? props.caption : t.instruments.neighbour(offset);
  return (
    <figure class="pane">
      <figcaption>{caption}</figcaption>
      <div
        class="board"
        ref={host}
        role="img"
        aria-label={props.caption}
        data-offset={offset}
        data-channel={shared.channel?.name}
      />
      <EdgeLetters orientation={orientation} />
    </figure>
  );
}
