/** What is drawn on: a slice with its mask on the screen, and the pointer over it. */

import { Composer, type DisplaySettings } from "./compose";
import { type Can, MaskEditor } from "./editor";
import { drawOverlay } from "./overlay";
import { blankMap, type ClassMap, type GrayPicture } from "./pixels";
import { type Pointed, pixelAt } from "./pointed";
import { PointerInput } from "./pointer";
import { Surface } from "./surface";
import { LARGEST_BRUSH, type ToolSettings } from "./tool-settings";
import { clip, type Point, type Rect } from "./tools";
import { toPicture, toScreen, type View } from "./view";
import { narrowest, type Window } from "./window";

export type { Can } from "./editor";
export type { Pointed } from "./pointed";

/** What the board shows. */
export interface Subject {
  picture: GrayPicture;
  /** The height of a pixel over its width; square without it. */
  aspect?: number;
  mask: ClassMap;
  suggestion: ClassMap | null;
  suggestionOutline: Uint8Array | null;
  uncertainty: Uint8Array | null;
  classCount: number;
  /** To be looked at only: dragging moves it. */
  locked?: boolean;
}

/** What the board tells its page; a page hears what it cares for. */
export interface Listener {
  /** A step was drawn, undone or done again. */
  drawn?(): void;
  /** A part of the suggestion is about to be taken over. */
  accepted?(): void;
  can?(can: Can): void;
  /** The annotator does something. */
  active?(): void;
  windowed?(window: Window): void;
  /** The annotator moved or zoomed the picture. */
  viewed?(view: View): void;
  scrolled?(steps: number): void;
  sized?(size: number): void;
  /** The pixel under the pointer, once a frame at most; null where there is none. */
  pointed?(pixel: Pointed | null): void;
}

/** A click this close (in CSS pixels) to a polygon's first corner closes it. */
const CLOSING_DISTANCE = 10;

export class Board {
  private readonly surface: Surface;
  private readonly input: PointerInput;
  private subject: Subject | null = null;
  private composer: Composer | null = null;
  private editor: MaskEditor | null = null;
  /** A neighbouring slice that is looked at in place of the subject. */
  private other: { picture: GrayPicture; composer: Composer } | null = null;
  private pointer: Point | null = null;
  private pointerFrame = 0;

  constructor(
    host: HTMLElement,
    private display: DisplaySettings,
    private tool: ToolSettings,
    private readonly listener: Listener,
  ) {
    this.surface = new Surface(host, {
      picture: () => (this.other?.composer ?? this.composer)?.canvas ?? null,
      aspect: () => this.subject?.aspect ?? 1,
      over: (canvas) => this.drawOver(canvas),
    });
    const { overlay } = this.surface;
    this.input = new PointerInput(overlay, (event) => this.surface.at(event), {
      ready: () => this.subject !== null,
      movesPicture: () => Boolean(this.subject?.locked) || this.other !== null,
      view: () => this.surface.view,
      setView: (view) => this.pan(view),
      begin: (at, erases) => this.begin(at, erases),
      draw: (at) => this.editor?.drawTo(toPicture(this.surface.view, at)),
      finish: () => this.finish(),
      cancel: () => this.escape(),
      dragWindow: (dx, dy) => this.dragWindow(dx, dy),
      zoom: (factor, at) => this.zoom(factor, at),
      hover: (at) => this.hover(at),
      scroll: (steps) => listener.scrolled?.(steps),
      resize: (steps) =>
        listener.sized?.(Math.min(LARGEST_BRUSH, Math.max(1, this.tool.size + steps))),
      active: () => listener.active?.(),
    });
    overlay.addEventListener("dblclick", this.closePolygon);
  }

  /** Take the board out of the page. */
  remove(): void {
    cancelAnimationFrame(this.pointerFrame);
    this.surface.remove();
  }

  /** Show another slice, fitted into the board. */
  show(subject: Subject, display = this.display): void {
    const before = this.subject;
    const { picture, mask, suggestion, aspect = 1 } = subject;
    const same =
      before?.picture.width === picture.width &&
      before.picture.height === picture.height &&
      (before.aspect ?? 1) === aspect;
    this.display = display;
    this.subject = subject;
    this.composer = this.composerOf(subject);
    this.other = null;
    this.input.stop();
    this.editor = new MaskEditor(
      { picture, mask, suggestion, aspect },
      {
        touched: (rect) => this.redraw(rect),
        drawn: () => this.listener.drawn?.(),
        accepted: () => this.listener.accepted?.(),
        can: (can) => this.listener.can?.(can),
      },
    );
    if (!same) this.fit();
    this.refresh();
  }

  /** Show another channel of the slice, with the drawing as it is. */
  setPicture(picture: GrayPicture, display = this.display): void {
    if (!this.subject) return;
    this.display = display;
    this.subject = { ...this.subject, picture };
    this.composer = this.composerOf(this.subject);
    this.editor?.setPicture(picture);
    this.refresh();
  }

  /** Look at a neighbouring slice; null goes back to the one that is drawn on. */
  lookAt(picture: GrayPicture | null): void {
    this.other = null;
    if (picture) {
      const composer = new Composer(picture, blankMap(picture), 1, null, null, this.display);
      this.other = { picture, composer };
    }
    this.refresh();
  }

  setDisplay(display: DisplaySettings): void {
    this.display = display;
    this.composer?.show(display);
    this.other?.composer.show(display);
    this.surface.refresh("all");
  }

  setTool(tool: ToolSettings): void {
    if (tool.kind !== this.tool.kind) this.editor?.dropOutline();
    this.tool = tool;
    this.surface.refreshOverlay();
  }

  /** While the space bar is held, dragging moves the picture. */
  holdSpace(held: boolean): void {
    this.input.holdSpace(held);
  }

  /** Whether a polygon is begun. */
  get isOutlining(): boolean {
    return this.editor?.isOutlining ?? false;
  }

  undo(): void {
    this.editor?.undo();
    this.surface.refreshOverlay();
  }

  redo(): void {
    this.editor?.redo();
  }

  /** Replace the drawing, as one step. */
  replaceWith(classes: Uint8Array): void {
    this.editor?.replaceWith(classes);
  }

  /** Break off what is being drawn. */
  escape(): void {
    this.input.stop();
    this.editor?.escape();
    this.surface.refreshOverlay();
  }

  /** Close the polygon that is being drawn. */
  closePolygon = (): void => {
    this.editor?.closePolygon(this.tool.value);
    this.surface.refreshOverlay();
  };

  /** The whole picture, as large as it fits. */
  fit(): void {
    this.surface.fit();
  }

  zoom(factor: number, about = this.pointer): void {
    this.surface.zoom(factor, about);
    this.listener.viewed?.(this.surface.view);
  }

  /** Show the same part as another board. */
  setView(view: View): void {
    this.surface.view = view;
  }

  private pan(view: View): void {
    this.surface.view = view;
    this.listener.viewed?.(view);
  }

  private composerOf(subject: Subject): Composer {
    return new Composer(
      subject.picture,
      subject.mask,
      subject.classCount,
      subject.suggestionOutline,
      subject.uncertainty,
      this.display,
    );
  }

  // The pointer

  private hover(at: Point | null): void {
    this.pointer = at;
    this.surface.refreshOverlay();
    this.tellPointed();
  }

  /** Tell at the next frame what lies under the pointer. */
  private tellPointed(): void {
    if (!this.listener.pointed || this.pointerFrame) return;
    this.pointerFrame = requestAnimationFrame(() => {
      this.pointerFrame = 0;
      this.listener.pointed?.(this.pointed());
    });
  }

  private pointed(): Pointed | null {
    const picture = (this.other ?? this.subject)?.picture ?? null;
    return picture && this.pointer && pixelAt(picture, this.surface.view, this.pointer);
  }

  private begin(at: Point, erases: boolean): boolean {
    const { view } = this.surface;
    const near = CLOSING_DISTANCE * window.devicePixelRatio;
    const isNear = (corner: Point): boolean => {
      const there = toScreen(view, corner);
      return Math.hypot(there.x - at.x, there.y - at.y) < near;
    };
    const { width } = this.display.window;
    const begun = this.editor!.begin(toPicture(view, at), this.tool, erases, width, isNear);
    this.surface.refreshOverlay();
    return begun;
  }

  private finish(): void {
    this.editor?.finish(this.tool.value);
    this.surface.refreshOverlay();
  }

  private dragWindow(dx: number, dy: number): void {
    const { picture } = (this.other ?? this.subject)!;
    const least = narrowest(picture);
    const range = Math.max(picture.high - picture.low, 1) * least;
    const step = range / (500 * window.devicePixelRatio);
    const { level, width } = this.display.window;
    // Down is brighter, whichever end of the values is white.
    const brighter = picture.slope < 0 ? dy : -dy;
    const windowed = { level: level + brighter * step, width: Math.max(width + dx * step, least) };
    this.setDisplay({ ...this.display, window: windowed });
    this.listener.windowed?.(windowed);
  }

  // The screen

  private refresh(): void {
    this.surface.refresh("all");
    this.tellPointed();
  }

  private redraw(touched: Rect): void {
    const rect = this.subject && clip(touched, this.subject.mask);
    if (!rect) return;
    this.composer?.draw(rect);
    this.surface.refresh(rect);
  }

  private drawOver(canvas: CanvasRenderingContext2D): void {
    if (!this.subject || !this.editor || this.subject.locked || this.other) return;
    drawOverlay(canvas, this.tool, this.surface.view, this.pointer, this.editor.outline);
  }
}
