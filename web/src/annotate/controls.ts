/** The board of the annotator's page, with the tools, overlays and neighbours that it shows. */

import { Board, type Pointed } from "../draw/board";
import type { DisplaySettings, OverlaySettings } from "../draw/compose";
import type { ClassMap } from "../draw/pixels";
import { adjusted, type ToolSettings } from "../draw/tool-settings";
import { KeptPresets } from "../instruments/kept-presets";
import type { Loader } from "../instruments/loader";
import { Signal } from "../instruments/signal";
import { type SliceView, Viewer } from "../instruments/viewer";
import { t } from "../texts";
import { words } from "../ui";
import type { LoadedSlice } from "./prepare";
import type { WorkspaceStore } from "./state";

export class DrawingControls {
  /** The pixel under the pointer, once a frame at most. */
  readonly pointed = new Signal<Pointed | null>(null);
  private readonly viewer: Viewer;
  private board: Board | null = null;

  constructor(
    private readonly store: WorkspaceStore,
    private readonly loader: Loader,
    private readonly events: {
      /** The drawing has changed, or how it came about. */
      drawn(): void;
      /** The annotator did something just now. */
      used(): void;
    },
  ) {
    const presets = new KeptPresets(loader.project);
    this.viewer = new Viewer(loader, (view) => this.viewed(view), presets);
  }

  /** Draw into `host` from now on. */
  attach(host: HTMLElement): void {
    this.board = new Board(host, this.display, this.store.state.tool, {
      drawn: () => this.events.drawn(),
      accepted: () => this.noteSuggestion(),
      can: (can) => this.store.set({ can }),
      active: () => this.events.used(),
      windowed: (window) => this.viewer.setWindow(window),
      scrolled: (by) => void this.look(by),
      sized: (size) => this.changeTool({ size }),
      pointed: (pixel) => this.pointed.set(pixel),
    });
  }

  detach(): void {
    this.board?.remove();
    this.board = null;
  }

  get isAttached(): boolean {
    return this.board !== null;
  }

  /** Show a slice with what is drawn of it; returns how it is looked at. */
  show(loaded: LoadedSlice, mask: ClassMap, classCount: number): SliceView {
    const view = this.viewer.open(loaded);
    const { suggestion, suggestionOutline, uncertainty, aspect } = loaded;
    this.board?.show(
      {
        picture: view.picture!,
        aspect,
        mask,
        suggestion,
        suggestionOutline,
        uncertainty,
        classCount,
      },
      { ...this.store.state.overlays, window: view.window },
    );
    return view;
  }

  private get display(): DisplaySettings {
    const { overlays, view } = this.store.state;
    return { ...overlays, window: view.window };
  }

  /** Bring to the board what has changed of how the slice is looked at. */
  private viewed(view: SliceView): void {
    const { view: before, notice } = this.store.state;
    this.store.set({ view, notice: view.offset === before.offset ? notice : null });
    if (view.picture && view.picture !== before.picture) {
      this.board?.setPicture(view.picture, this.display);
    } else if (view.window !== before.window) {
      this.board?.setDisplay(this.display);
    }
    if (view.other !== before.other) this.board?.lookAt(view.other);
  }

  // The drawing

  undo(): void {
    this.board?.undo();
  }

  redo(): void {
    this.board?.redo();
  }

  clear(): void {
    const { current } = this.store.state;
    if (current) this.board?.replaceWith(new Uint8Array(current.mask.classes.length));
  }

  /** Drop the restored draft. */
  startAfresh(): void {
    this.store.set({ restoredAt: null });
    this.clear();
  }

  /** Take the whole suggestion over. */
  acceptAll(): void {
    const suggestion = this.store.state.current?.loaded.suggestion;
    if (!suggestion) return;
    this.noteSuggestion();
    this.board?.replaceWith(suggestion.classes);
    // A suggestion that equals the drawing is accepted without a stroke.
    this.events.drawn();
  }

  private noteSuggestion(): void {
    const { current } = this.store.state;
    if (!current) return;
    const suggestionModel = current.loaded.suggestionModel ?? current.suggestionModel;
    this.store.set({ current: { ...current, suggestionModel } });
  }

  /** Copy the own mask of the neighbour that is looked at, or else of the nearest that has one. */
  async copyFromNeighbour(): Promise<void> {
    const { current, view } = this.store.state;
    if (!current) return;
    const { index, neighbours } = current.loaded;
    try {
      for (const away of view.offset !== 0 ? [view.offset] : [-1, 1, -2, 2]) {
        const slice = neighbours.get(index + away);
        const mask = slice && (await this.loader.ownMask(slice.id));
        if (mask && mask.width === current.mask.width && mask.height === current.mask.height) {
          this.viewer.goHome();
          this.board?.replaceWith(mask.classes);
          return;
        }
      }
      this.store.set({ notice: t.annotate.noNeighbourMask });
    } catch (failure) {
      this.store.set({ error: words(failure) });
    }
  }

  /** Close the polygon that is begun; false where there is none. */
  closePolygon(): boolean {
    if (!this.board?.isOutlining) return false;
    this.board.closePolygon();
    return true;
  }

  escape(): void {
    this.board?.escape();
  }

  // Tools and overlays

  changeTool(change: Partial<ToolSettings>): void {
    this.store.set({ tool: { ...this.store.state.tool, ...change } });
    this.board?.setTool(this.store.state.tool);
  }

  /** Make the brush or the tolerance smaller (-1) or larger (1). */
  adjust(direction: number): void {
    this.changeTool(adjusted(this.store.state.tool, direction));
  }

  changeOverlays(change: Partial<OverlaySettings>): void {
    this.store.set({ overlays: { ...this.store.state.overlays, ...change } });
    this.board?.setDisplay(this.display);
  }

  toggleMask(): void {
    const shown = this.store.state.overlays.maskOpacity > 0;
    this.changeOverlays({ maskOpacity: shown ? 0 : 0.4 });
  }

  toggleSuggestion(): void {
    this.changeOverlays({ suggestion: !this.store.state.overlays.suggestion });
  }

  toggleUncertainty(): void {
    const shown = this.store.state.overlays.uncertaintyOpacity > 0;
    this.changeOverlays({ uncertaintyOpacity: shown ? 0 : 0.6 });
  }

  // What is looked at

  look(by: number): Promise<void> {
    return this.viewer.look(by);
  }

  selectChannel(name: string): void {
    this.viewer.selectChannel(name);
  }

  nextChannel(): void {
    this.viewer.nextChannel();
  }

  usePreset(preset: string): void {
    this.viewer.usePreset(preset);
  }

  nextPreset(): void {
    this.viewer.nextPreset();
  }

  holdSpace(held: boolean): void {
    this.board?.holdSpace(held);
  }

  fit(): void {
    this.board?.fit();
  }

  zoom(factor: number): void {
    this.board?.zoom(factor);
  }
}
