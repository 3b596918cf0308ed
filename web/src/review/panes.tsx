/** How readings are shown: one over the others, beside each other, where they differ, or in hand. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Toolbar } from "../annotate/parts";
import type { MaskInfo, ToReview } from "../api/client";
import { Board, type Hand, type Subject } from "../draw/board";
import type { Looks } from "../draw/compose";
import type { ClassMap, GrayPicture } from "../draw/pixels";
import { outline } from "../draw/tools";
import { PRESETS } from "../draw/window";
import { t } from "../texts";

const text = t.review;

/** A slice to review with everything that is shown of it. */
export interface Opened {
  item: ToReview;
  picture: GrayPicture;
  maps: Map<number, ClassMap>;
}

export type Layout = "overlay" | "sideBySide" | "disagreement";
export const LAYOUTS: Layout[] = ["overlay", "sideBySide", "disagreement"];

const LOOKS: Omit<Looks, "window"> = { maskOpacity: 0.4, suggestion: true, uncertaintyOpacity: 0 };
const NO_HAND: Hand = { tool: "brush", value: 1, size: 5, tolerance: 0.1 };
const NO_LISTENER = {
  drawn: () => {},
  active: () => {},
  windowed: () => {},
  scrolled: () => {},
  sized: () => {},
};

export function Panes(props: {
  opened: Opened;
  selected: number;
  layout: Layout;
  classCount: number;
}) {
  const { opened, selected, layout, classCount } = props;
  const { item, picture, maps } = opened;
  const name = (reading: MaskInfo): string =>
    reading.source === "consensus" ? text.consensus : reading.author;
  const base = { picture, suggestion: null, classCount, locked: true };
  if (layout === "sideBySide") {
    return (
      <>
        {item.readings.map((reading) => (
          <Pane
            key={reading.id}
            caption={name(reading)}
            subject={{
              ...base,
              mask: maps.get(reading.id)!,
              suggestionOutline: null,
              uncertainty: null,
            }}
            looks={LOOKS}
          />
        ))}
      </>
    );
  }
  const others = item.readings.filter(({ id }) => id !== selected).map(({ id }) => maps.get(id)!);
  if (layout === "disagreement") {
    const everybody = item.readings.map(({ id }) => maps.get(id)!.classes);
    const heat = disagreement(everybody);
    const differing = heat.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    return (
      <Pane
        caption={text.disagreementPixels(differing)}
        subject={{
          ...base,
          mask: maps.get(selected)!,
          suggestionOutline: null,
          uncertainty: heat,
        }}
        looks={{ maskOpacity: 0, suggestion: false, uncertaintyOpacity: 0.9 }}
      />
    );
  }
  return (
    <Pane
      caption={name(item.readings.find(({ id }) => id === selected)!)}
      subject={{
        ...base,
        mask: maps.get(selected)!,
        suggestionOutline: joined(others),
        uncertainty: null,
      }}
      looks={LOOKS}
    />
  );
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

function Pane(props: { caption: string; subject: Subject; looks: Omit<Looks, "window"> }) {
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const window = PRESETS.tissue(props.subject.picture);
  useEffect(() => {
    const made = new Board(host.current!, { ...props.looks, window }, NO_HAND, NO_LISTENER);
    board.current = made;
    return () => made.remove();
  }, []);
  useEffect(() => {
    board.current?.setLooks({ ...props.looks, window });
    board.current?.show(props.subject);
  });
  return (
    <figure class="pane">
      <figcaption>{props.caption}</figcaption>
      <div class="board" ref={host} role="img" aria-label={props.caption} />
    </figure>
  );
}

export function EditPane(props: { opened: Opened; map: ClassMap; classCount: number }) {
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const [hand, setHand] = useState<Hand>({ ...NO_HAND, size: 7 });
  const [steps, setSteps] = useState(0);
  const { picture } = props.opened;
  useEffect(() => {
    const looks = { ...LOOKS, window: PRESETS.tissue(picture) };
    const made = new Board(host.current!, looks, hand, {
      ...NO_LISTENER,
      drawn: () => setSteps((n) => n + 1),
      sized: (size) => change({ size }),
    });
    made.show({
      picture,
      mask: props.map,
      suggestion: null,
      suggestionOutline: null,
      uncertainty: null,
      classCount: props.classCount,
    });
    board.current = made;
    return () => made.remove();
  }, []);
  const change = (part: Partial<Hand>) =>
    setHand((old) => {
      const next = { ...old, ...part };
      board.current?.setHand(next);
      return next;
    });
  return (
    <div class="pane edit">
      <Toolbar
        hand={hand}
        onHand={change}
        disabled={false}
        canUndo={board.current?.canUndo ?? false}
        canRedo={board.current?.canRedo ?? false}
        hasSuggestion={false}
        onUndo={() => board.current?.undo()}
        onRedo={() => board.current?.redo()}
        onClear={() => board.current?.replaceWith(new Uint8Array(props.map.classes.length))}
        steps={steps}
      />
      <div class="stage">
        <div class="board" ref={host} role="img" aria-label={t.annotate.canvas} />
      </div>
    </div>
  );
}
