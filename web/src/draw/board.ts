/** What is drawn on: the slice with its mask, the tools, and what the pointer does with them. */

import { Composer, type Looks } from "./compose";
import { Fingers } from "./fingers";
import { drawGlass } from "./glass";
import { type Hand, LARGEST_BRUSH } from "./hand";
import { History } from "./history";
import { blankMap, type ClassMap, type GrayPicture } from "./pixels";
import { Surface } from "./surface";
import {
  acceptComponent,
  clip,
  fillPolygon,
  floodFill,
  growRegion,
  type Point,
  type Rect,
  replace,
  stroke,
  union,
} from "./tools";
import { toPicture, toScreen, type View } from "./view";
import type { Window } from "./window";

/** What the board shows. */
export interface Subject {
  picture: GrayPicture;
  mask: ClassMap;
  suggestion: ClassMap | null;
  suggestionOutline: Uint8Array | null;
  uncertainty: Uint8Array | null;
  classCount: number;
  /** To be looked at only: dragging moves it. */
  locked?: boolean;
}

/** Whether there is a step to be taken back, or done again. */
export interface Can {
  undo: boolean;
  redo: boolean;
}

/** What the board tells its page; a page hears what it cares for. */
export interface Listener {
  /** A step was drawn, undone or done again. */
  drawn?(): void;
  can?(can: Can): void;
  /** The annotator does something. */
  active?(): void;
  windowed?(window: Window): void;
  /** The annotator moved or zoomed the picture. */
  viewed?(view: View): void;
  scrolled?(steps: number): void;
  sized?(size: number): void;
}

/** A click this close (in CSS pixels) to a polygon's first corner closes it. */
const CLOSING_DISTANCE = 10;
/** So far (in CSS pixels) a wheel turns for one step; touchpads send many small turns. */
const WHEEL_STEP = 40;
const LINE_HEIGHT = 16;

type Drag =
  | { kind: "stroke"; last: Point; value: number; size: number; touched: Rect | null }
  | { kind: "lasso"; corners: Point[] }
  | { kind: "pan"; last: Point }
  | { kind: "window"; last: Point };

export class Board {
  private readonly surface: Surface;
  private subject: Subject | null = null;
  private composer: Composer | null = null;
  private history: History | null = null;
  /** A neighbouring slice that is looked at in place of the subject. */
  private other: { picture: GrayPicture; composer: Composer } | null = null;
  private drag: Drag | null = null;
  private corners: Point[] = [];
  private pointer: Point | null = null;
  private spaceHeld = false;
  private can: Can = { undo: false, redo: false };
  private readonly fingers = new Fingers();
  /** Who draws with a pen rests a hand on the board: from then on fingers only move the picture. */
  private hasPen = false;
  private wheelTurned = 0;

  constructor(
    host: HTMLElement,
    private looks: Looks,
    private hand: Hand,
    private readonly listener: Listener,
  ) {
    this.surface = new Surface(host, {
      picture: () => (this.other?.composer ?? this.composer)?.canvas ?? null,
      over: (glass) => this.drawOver(glass),
    });
    const { glass } = this.surface;
    glass.addEventListener("pointerdown", this.down);
    glass.addEventListener("pointermove", this.move);
    glass.addEventListener("pointerup", this.up);
    glass.addEventListener("pointercancel", this.cancel);
    glass.addEventListener("pointerleave", this.leave);
    glass.addEventListener("dblclick", this.closePolygon);
    glass.addEventListener("wheel", this.wheel, { passive: false });
    glass.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Take the board out of the page. */
  remove(): void {
    this.surface.remove();
  }

  /** Show another slice, fitted into the board. */
  show(subject: Subject): void {
    const same =
      this.subject?.picture.width === subject.picture.width &&
      this.subject?.picture.height === subject.picture.height;
    this.subject = subject;
    this.history = new History(subject.mask);
    this.composer = this.composerOf(subject);
    this.other = null;
    this.drag = null;
    this.corners = [];
    if (!same) this.fit();
    this.surface.refresh("all");
    this.tellSteps();
  }

  /** Look at a neighbouring slice; null goes back to the one that is drawn on. */
  lookAt(picture: GrayPicture | null): void {
    this.other = null;
    if (picture) {
      const composer = new Composer(picture, blankMap(picture), 1, null, null, this.looks);
      this.other = { picture, composer };
    }
    this.surface.refresh("all");
  }

  setLooks(looks: Looks): void {
    this.looks = looks;
    this.composer?.show(looks);
    this.other?.composer.show(looks);
    this.surface.refresh("all");
  }

  setHand(hand: Hand): void {
    if (hand.tool !== this.hand.tool) this.corners = [];
    this.hand = hand;
    this.surface.refreshGlass();
    this.tellSteps();
  }

  /** While the space bar is held, dragging moves the picture. */
  holdSpace(held: boolean): void {
    this.spaceHeld = held;
    this.surface.glass.style.cursor = held ? "grab" : "";
  }

  /** Whether a polygon is begun. */
  get isOutlining(): boolean {
    return this.corners.length > 0;
  }

  undo(): void {
    if (this.corners.length > 0) {
      this.corners.pop();
      this.surface.refreshGlass();
      this.tellSteps();
    } else {
      this.step(this.history?.undo() ?? null);
    }
  }

  redo(): void {
    this.step(this.history?.redo() ?? null);
  }

  /** Replace the drawing, as one step. */
  replaceWith(classes: Uint8Array): void {
    if (this.subject) this.commit(replace(this.subject.mask, classes));
  }

  /** Break off what is being drawn. */
  escape(): void {
    this.corners = [];
    if (this.drag?.kind === "stroke") this.step(this.history?.rollback() ?? null);
    this.drag = null;
    this.surface.refreshGlass();
    this.tellSteps();
  }

  /** Close the polygon that is being drawn. */
  closePolygon = (): void => {
    const { subject, corners } = this;
    this.corners = [];
    if (subject) this.commit(fillPolygon(subject.mask, corners, this.hand.value));
    this.surface.refreshGlass();
    this.tellSteps();
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
      this.looks,
    );
  }

  // What the pointer does

  private down = (event: PointerEvent): void => {
    if (!this.subject) return;
    this.surface.glass.setPointerCapture(event.pointerId);
    // Keys now mean the drawing again, not the button that was clicked last.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    const at = this.surface.at(event);
    this.listener.active?.();
    event.preventDefault();
    this.hasPen ||= event.pointerType === "pen";
    if (event.pointerType === "touch") {
      this.fingers.down(event.pointerId, at);
      // A second finger means to move the picture, also if the first had begun to draw.
      if (this.fingers.count > 1 && this.drag) this.escape();
      if (this.fingersMove()) return;
    } else if (this.drag) {
      return;
    }
    this.pointer = at;
    const moves = this.spaceHeld || this.subject.locked || this.other !== null;
    if (event.button === 1 || (event.button === 0 && moves)) {
      this.drag = { kind: "pan", last: at };
    } else if (event.button === 2) {
      this.drag = { kind: "window", last: at };
    } else {
      this.begin(at, event.button === 5);
    }
  };

  private fingersMove(): boolean {
    return this.hasPen || this.fingers.count > 1;
  }

  private begin(at: Point, penTurned: boolean): void {
    const { mask, picture, suggestion } = this.subject!;
    const place = toPicture(this.surface.view, at);
    const { tool, value, size } = this.hand;
    const erases = penTurned || tool === "eraser";
    if (erases || tool === "brush") {
      const painted = erases ? 0 : value;
      const touched = stroke(mask, place, place, size, painted);
      this.drag = { kind: "stroke", last: place, value: painted, size, touched };
      this.redraw(touched);
    } else if (tool === "lasso") {
      this.drag = { kind: "lasso", corners: [place] };
    } else if (tool === "polygon") {
      this.addCorner(at, place);
    } else if (inside(mask, place)) {
      if (tool === "fill") this.commit(floodFill(mask, place, value));
      if (tool === "grow") {
        const tolerance = this.hand.tolerance * this.looks.window.width;
        this.commit(growRegion(mask, picture, place, tolerance, value));
      }
      if (tool === "accept" && suggestion) {
        this.commit(acceptComponent(mask, suggestion.classes, place));
      }
    }
  }

  private addCorner(at: Point, place: Point): void {
    const [first] = this.corners;
    if (this.corners.length >= 3 && first) {
      const start = toScreen(this.surface.view, first);
      const near = CLOSING_DISTANCE * window.devicePixelRatio;
      if (Math.hypot(start.x - at.x, start.y - at.y) < near) {
        this.closePolygon();
        return;
      }
    }
    this.corners.push(place);
    this.surface.refreshGlass();
    this.tellSteps();
  }

  private move = (event: PointerEvent): void => {
    if (event.pointerType === "touch") {
      const moved = this.fingers.move(event.pointerId, this.surface.at(event), this.surface.view);
      if (this.fingersMove()) {
        this.pan(moved);
        return;
      }
    }
    this.pointer = this.surface.at(event);
    if (!this.drag) {
      this.surface.refreshGlass();
      return;
    }
    this.listener.active?.();
    // A fast pen moves several times a frame: all of its places belong to the line.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length > 0 ? events : [event]) this.dragTo(this.surface.at(one));
    this.surface.refreshGlass();
  };

  private dragTo(at: Point): void {
    const { drag, subject } = this;
    if (!drag || !subject) return;
    if (drag.kind === "stroke") {
      const place = toPicture(this.surface.view, at);
      const touched = stroke(subject.mask, drag.last, place, drag.size, drag.value);
      drag.last = place;
      drag.touched = union(drag.touched, touched);
      this.redraw(touched);
    } else if (drag.kind === "lasso") {
      drag.corners.push(toPicture(this.surface.view, at));
    } else if (drag.kind === "pan") {
      const { view } = this.surface;
      this.pan({ ...view, x: view.x + at.x - drag.last.x, y: view.y + at.y - drag.last.y });
      drag.last = at;
    } else {
      this.dragWindow(at.x - drag.last.x, at.y - drag.last.y);
      drag.last = at;
    }
  }

  private dragWindow(dx: number, dy: number): void {
    const { high, low } = (this.other ?? this.subject!).picture;
    const step = Math.max(high - low, 1) / (500 * window.devicePixelRatio);
    const { level, width } = this.looks.window;
    const windowed = { level: level - dy * step, width: Math.max(width + dx * step, 1) };
    this.setLooks({ ...this.looks, window: windowed });
    this.listener.windowed?.(windowed);
  }

  private up = (event: PointerEvent): void => {
    if (event.pointerType === "touch") {
      const moved = this.fingersMove();
      this.fingers.up(event.pointerId);
      if (moved) return;
    }
    const { drag, subject } = this;
    this.drag = null;
    if (this.surface.glass.hasPointerCapture(event.pointerId)) {
      this.surface.glass.releasePointerCapture(event.pointerId);
    }
    if (!drag || !subject) return;
    this.listener.active?.();
    if (drag.kind === "stroke") this.commit(drag.touched, false);
    if (drag.kind === "lasso")
      this.commit(fillPolygon(subject.mask, drag.corners, this.hand.value));
    this.surface.refreshGlass();
  };

  private cancel = (event: PointerEvent): void => {
    this.fingers.up(event.pointerId);
    this.escape();
  };

  private leave = (): void => {
    this.pointer = null;
    this.surface.refreshGlass();
  };

  private wheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.listener.active?.();
    if (event.ctrlKey || event.metaKey) {
      this.zoom(Math.exp(-event.deltaY * 0.002), this.surface.at(event));
      return;
    }
    // With Shift held, browsers turn the wheel sideways.
    const turned = event.deltaY || event.deltaX;
    this.wheelTurned +=
      event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? turned : turned * LINE_HEIGHT;
    if (Math.abs(this.wheelTurned) < WHEEL_STEP) return;
    const step = Math.sign(this.wheelTurned);
    this.wheelTurned = 0;
    if (event.shiftKey) {
      this.listener.sized?.(Math.min(LARGEST_BRUSH, Math.max(1, this.hand.size - step)));
    } else {
      this.listener.scrolled?.(step);
    }
  };

  // What is drawn

  private step(touched: Rect | null): void {
    if (!touched) return;
    this.redraw(touched);
    this.listener.drawn?.();
    this.tellSteps();
  }

  private commit(touched: Rect | null, redraw = true): void {
    if (redraw) this.redraw(touched);
    if (this.history?.commit(touched)) this.listener.drawn?.();
    this.tellSteps();
  }

  private tellSteps(): void {
    const undo = this.corners.length > 0 || (this.history?.canUndo ?? false);
    const redo = this.history?.canRedo ?? false;
    if (undo === this.can.undo && redo === this.can.redo) return;
    this.can = { undo, redo };
    this.listener.can?.(this.can);
  }

  private redraw(touched: Rect | null): void {
    const rect = touched && this.subject && clip(touched, this.subject.mask);
    if (!rect) return;
    this.composer?.draw(rect);
    this.surface.refresh(rect);
  }

  private drawOver(glass: CanvasRenderingContext2D): void {
    if (!this.subject || this.subject.locked || this.other) return;
    const outline =
      this.drag?.kind === "lasso"
        ? { corners: this.drag.corners, open: false }
        : { corners: this.corners, open: true };
    drawGlass(glass, this.hand, this.surface.view, this.pointer, outline);
  }
}

function inside(map: { width: number; height: number }, place: Point): boolean {
  return place.x >= 0 && place.y >= 0 && place.x < map.width && place.y < map.height;
}
