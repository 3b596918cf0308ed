/** What all panes of a slice share: channel, window, zoom, and the neighbour that is looked at. */

import { useMemo, useState } from "preact/hooks";
import type { Board, Pointed } from "../draw/board";
import type { View } from "../draw/view";
import type { Window } from "../draw/window";
import { KeptPresets } from "../instruments/kept-presets";
import type { Loader } from "../instruments/loader";
import { Signal } from "../instruments/signal";
import { NOTHING_VIEWED, type SliceView, type ViewedSlice, Viewer } from "../instruments/viewer";

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

export interface SharedView extends SliceView {
  boards: Boards;
  /** The pixel under the pointer, in whichever pane it is. */
  pointed: Signal<Pointed | null>;
  /** Show another slice. */
  open(slice: ViewedSlice): void;
  setWindow(window: Window): void;
  selectChannel(name: string): void;
  nextChannel(): void;
  usePreset(name: string): void;
  nextPreset(): void;
  look(by: number): void;
  fit(): void;
  zoom(factor: number): void;
}

export function useSharedView(loader: Loader): SharedView {
  const [view, setView] = useState<SliceView>(NOTHING_VIEWED);
  const actions = useMemo(() => {
    const boards = new Boards();
    const viewer = new Viewer(loader, setView, new KeptPresets(loader.project));
    return {
      boards,
      pointed: new Signal<Pointed | null>(null),
      open: (slice: ViewedSlice) => setView(viewer.open(slice)),
      setWindow: (window: Window) => viewer.setWindow(window),
      selectChannel: (name: string) => viewer.selectChannel(name),
      nextChannel: () => viewer.nextChannel(),
      usePreset: (name: string) => viewer.usePreset(name),
      nextPreset: () => viewer.nextPreset(),
      look: (by: number) => void viewer.look(by),
      fit: () => boards.fit(),
      zoom: (factor: number) => boards.zoom(factor),
    };
  }, [loader]);
  return { ...view, ...actions };
}
