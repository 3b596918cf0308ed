/** What all panes of a slice share: the window, the zoom, and the neighbour that is looked at. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Loader } from "../annotate/load";
import type { SliceInfo } from "../api/client";
import type { Board } from "../draw/board";
import type { GrayPicture } from "../draw/pixels";
import type { View } from "../draw/view";
import { FIRST_PRESET, PRESETS, presetAfter, type Window } from "../draw/window";

/** A picture to be looked at, and where it lies in its case. */
export interface Scene {
  picture: GrayPicture;
  index: number;
  neighbours: Map<number, SliceInfo>;
}

/** The boards that show the same slice: what one does to its view, all do. */
export class Boards {
  private readonly all = new Set<Board>();

  add(board: Board): void {
    this.all.add(board);
  }

  remove(board: Board): void {
    this.all.delete(board);
  }

  follow(leader: Board, view: View): void {
    for (const board of this.all) if (board !== leader) board.setView(view);
  }

  fit(): void {
    for (const board of this.all) board.fit();
  }

  zoom(factor: number): void {
    const [leader] = this.all;
    leader?.zoom(factor);
  }
}

export interface Sight {
  window: Window;
  setWindow(window: Window): void;
  /** The neighbour in place of the slice, and how far away it lies; null and 0 at home. */
  other: GrayPicture | null;
  offset: number;
  boards: Boards;
  look(by: number): void;
  nextPreset(): void;
  fit(): void;
  zoom(factor: number): void;
}

/** The sight of a scene; a preset stays chosen for the next one, a window set by hand does not. */
export function useSight(scene: Scene | null, loader: Loader): Sight {
  const boards = useMemo(() => new Boards(), []);
  const [preset, setPreset] = useState(FIRST_PRESET);
  const [byHand, setByHand] = useState<Window | null>(null);
  const [seen, setSeen] = useState<{ offset: number; picture: GrayPicture } | null>(null);
  const turn = useRef(0);
  const wanted = useRef(0);
  useEffect(() => {
    turn.current++;
    wanted.current = 0;
    setByHand(null);
    setSeen(null);
  }, [scene?.picture]);
  const fromPreset = useMemo(
    () => (scene ? PRESETS[preset](scene.picture) : { level: 128, width: 256 }),
    [scene?.picture, preset],
  );

  const look = async (by: number) => {
    const to = by === 0 ? 0 : wanted.current + by;
    const slice = scene?.neighbours.get(scene.index + to);
    if (!slice) return;
    const mine = ++turn.current;
    wanted.current = to;
    if (to === 0) {
      setSeen(null);
      return;
    }
    const picture = await loader.picture(slice.image).catch(() => null);
    if (picture && mine === turn.current) setSeen({ offset: to, picture });
  };

  return {
    window: byHand ?? fromPreset,
    setWindow: setByHand,
    other: seen?.picture ?? null,
    offset: seen?.offset ?? 0,
    boards,
    look: (by) => void look(by),
    nextPreset: () => {
      setByHand(null);
      setPreset(presetAfter(preset));
    },
    fit: () => boards.fit(),
    zoom: (factor) => boards.zoom(factor),
  };
}
