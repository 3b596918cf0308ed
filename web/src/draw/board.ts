/** The drawing surface: one canvas with the composed slice, one above it for cursor and outlines. */

import { Composer, colourOf, type Looks } from "./compose";
import { History } from "./history";
import type { ClassMap, GrayPicture } from "./pixels";
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
import { fitted, toPicture, toScreen, type View, zoomed } from "./view";
import type { Window } from "./window";

export const TOOLS = ["brush", "eraser", "polygon", "lasso", "fill", "grow", "accept"] as const;
export type Tool = (typeof TOOLS)[number];

/** What the hand holds. `tolerance` is a share of the window's width. */
export interface Hand {
  tool: Tool;
  value: number;
  size: number;
  tolerance: number;
}

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

/** What the board tells its page. */
export interface Listener {
  /** A step was drawn, undone or done again. */
  drawn(): void;
  /** The annotator does something. */
  active(): void;
  windowed(window: Window): void;
  scrolled(steps: number): void;
  sized(size: number): void;
}

const BACKGROUND = "#0b0c0e";
/** A click this close (in CSS pixels) to a polygon's first corner closes it. */
const CLOSING_DISTANCE = 10;

type Drag =
  | { kind: "stroke"; last: Point; value: number; size: number; touched: Rect | null }
  | { kind: "lasso"; corners: Point[] }
  | { kind: "pan"; last: Point }
  | { kind: "window"; last: Point };

export class Board {
  private readonly screen = document.createElement("canvas");
  private readonly glass = document.createElement("canvas");
  private readonly context = this.screen.getContext("2d", {
    alpha: false,
    willReadFrequently: true,
  })!;
  private readonly above = this.glass.getContext("2d")!;
  private readonly sizes: ResizeObserver;
  private subject: Subject | null = null;
  private composer: Composer | null = null;
  private history: History | null = null;
  /** A neighbouring slice that is looked at in place of the subject. */
  private other: { picture: GrayPicture; composer: Composer } | null = null;
  private view: View = { scale: 1, x: 0, y: 0 };
  private drag: Drag | null = null;
  private corners: Point[] = [];
  private pointer: Point | null = null;
  private stale: Rect | "all" | null = null;
  private frame = 0;
  private spaceHeld = false;

  constructor(
    private readonly host: HTMLElement,
    private looks: Looks,
    private hand: Hand,
    private readonly listener: Listener,
  ) {
    host.append(this.screen, this.glass);
    this.glass.addEventListener("pointerdown", this.down);
    this.glass.addEventListener("pointermove", this.move);
    this.glass.addEventListener("pointerup", this.up);
    this.glass.addEventListener("pointercancel", this.cancel);
    this.glass.addEventListener("pointerleave", this.leave);
    this.glass.addEventListener("dblclick", this.closePolygon);
    this.glass.addEventListener("wheel", this.wheel, { passive: false });
    this.glass.addEventListener("contextmenu", (event) => event.preventDefault());
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(host);
  }

  /** Take the board out of the page. */
  remove(): void {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.screen.remove();
    this.glass.remove();
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
    this.refresh("all");
  }

  /** Look at a neighbouring slice; null goes back to the one that is drawn on. */
  lookAt(picture: GrayPicture | null): void {
    this.other = null;
    if (picture) {
      const { width, height } = picture;
      const blank = { width, height, classes: new Uint8Array(width * height) };
      const composer = new Composer(picture, blank, 1, null, null, this.looks);
      this.other = { picture, composer };
    }
    this.refresh("all");
  }

  setLooks(looks: Looks): void {
    this.looks = looks;
    this.composer?.show(looks);
    this.other?.composer.show(looks);
    this.refresh("all");
  }

  setHand(hand: Hand): void {
    if (hand.tool !== this.hand.tool) this.corners = [];
    this.hand = hand;
    this.drawGlass();
  }

  /** While the space bar is held, dragging moves the picture. */
  holdSpace(held: boolean): void {
    this.spaceHeld = held;
    this.glass.style.cursor = held ? "grab" : "";
  }

  /** Whether a polygon is begun. */
  get isOutlining(): boolean {
    return this.corners.length > 0;
  }

  get canUndo(): boolean {
    return this.corners.length > 0 || (this.history?.canUndo ?? false);
  }

  get canRedo(): boolean {
    return this.history?.canRedo ?? false;
  }

  undo(): void {
    if (this.corners.length > 0) {
      this.corners.pop();
      this.drawGlass();
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
    this.drawGlass();
  }

  /** Close the polygon that is being drawn. */
  closePolygon = (): void => {
    const { subject, corners } = this;
    this.corners = [];
    if (subject) this.commit(fillPolygon(subject.mask, corners, this.hand.value));
    this.drawGlass();
  };

  /** The whole picture, as large as it fits. */
  fit(): void {
    const picture = this.other?.picture ?? this.subject?.picture;
    if (picture) this.view = fitted(picture, this.screen);
    this.refresh("all");
  }

  zoom(factor: number): void {
    const middle = { x: this.screen.width / 2, y: this.screen.height / 2 };
    this.view = zoomed(this.view, this.pointer ?? middle, factor);
    this.refresh("all");
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

  private resize(): void {
    const ratio = window.devicePixelRatio;
    const width = Math.max(1, Math.round(this.host.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.host.clientHeight * ratio));
    if (this.screen.width === width && this.screen.height === height) return;
    for (const canvas of [this.screen, this.glass]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.fit();
  }

  // What the pointer does

  private at(event: { clientX: number; clientY: number }): Point {
    const box = this.glass.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  private down = (event: PointerEvent): void => {
    if (!this.subject) return;
    this.glass.setPointerCapture(event.pointerId);
    // Keys now mean the drawing again, not the button that was clicked last.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    const at = this.at(event);
    this.pointer = at;
    this.listener.active();
    const moves = this.spaceHeld || this.subject.locked || this.other !== null;
    if (event.button === 1 || (event.button === 0 && moves)) {
      this.drag = { kind: "pan", last: at };
    } else if (event.button === 2) {
      this.drag = { kind: "window", last: at };
    } else {
      this.begin(at, event.button === 5);
    }
    event.preventDefault();
  };

  private begin(at: Point, penTurned: boolean): void {
    const { mask, picture, suggestion } = this.subject!;
    const place = toPicture(this.view, at);
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
      const start = toScreen(this.view, first);
      const near = CLOSING_DISTANCE * window.devicePixelRatio;
      if (Math.hypot(start.x - at.x, start.y - at.y) < near) {
        this.closePolygon();
        return;
      }
    }
    this.corners.push(place);
    this.drawGlass();
  }

  private move = (event: PointerEvent): void => {
    this.pointer = this.at(event);
    if (!this.drag) {
      this.drawGlass();
      return;
    }
    this.listener.active();
    // A fast pen moves several times a frame: all of its places belong to the line.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length > 0 ? events : [event]) this.dragTo(this.at(one));
    this.drawGlass();
  };

  private dragTo(at: Point): void {
    const { drag, subject } = this;
    if (!drag || !subject) return;
    if (drag.kind === "stroke") {
      const place = toPicture(this.view, at);
      const touched = stroke(subject.mask, drag.last, place, drag.size, drag.value);
      drag.last = place;
      drag.touched = union(drag.touched, touched);
      this.redraw(touched);
    } else if (drag.kind === "lasso") {
      drag.corners.push(toPicture(this.view, at));
    } else if (drag.kind === "pan") {
      this.view = {
        ...this.view,
        x: this.view.x + at.x - drag.last.x,
        y: this.view.y + at.y - drag.last.y,
      };
      drag.last = at;
      this.refresh("all");
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
    this.listener.windowed(windowed);
  }

  private up = (event: PointerEvent): void => {
    const { drag, subject } = this;
    this.drag = null;
    if (this.glass.hasPointerCapture(event.pointerId)) {
      this.glass.releasePointerCapture(event.pointerId);
    }
    if (!drag || !subject) return;
    this.listener.active();
    if (drag.kind === "stroke") this.commit(drag.touched, false);
    if (drag.kind === "lasso")
      this.commit(fillPolygon(subject.mask, drag.corners, this.hand.value));
    this.drawGlass();
  };

  private cancel = (): void => this.escape();

  private leave = (): void => {
    this.pointer = null;
    this.drawGlass();
  };

  private wheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.listener.active();
    if (event.ctrlKey || event.metaKey) {
      this.view = zoomed(this.view, this.at(event), Math.exp(-event.deltaY * 0.002));
      this.refresh("all");
    } else if (event.shiftKey) {
      const turn = Math.sign(event.deltaY || event.deltaX);
      this.listener.sized(Math.max(1, this.hand.size - turn));
    } else {
      this.listener.scrolled(Math.sign(event.deltaY));
    }
  };

  // What is drawn

  private step(touched: Rect | null): void {
    if (!touched) return;
    this.redraw(touched);
    this.listener.drawn();
  }

  private commit(touched: Rect | null, redraw = true): void {
    if (redraw) this.redraw(touched);
    if (this.history?.commit(touched)) this.listener.drawn();
  }

  private redraw(touched: Rect | null): void {
    const rect = touched && this.subject && clip(touched, this.subject.mask);
    if (!rect) return;
    this.composer?.draw(rect);
    this.refresh(rect);
  }

  /** Show a part of the picture anew at the next frame. */
  private refresh(part: Rect | "all"): void {
    this.stale = part === "all" || this.stale === "all" ? "all" : union(this.stale, part);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.frame = 0;
    const { context, view, stale } = this;
    this.stale = null;
    const shown = this.other?.composer ?? this.composer;
    if (!shown || !stale) return;
    // Where the picture lies, for whoever looks at the page from outside (its tests).
    this.host.dataset.view = JSON.stringify({ ...view, ratio: window.devicePixelRatio });
    context.save();
    if (stale !== "all") {
      // A pixel more on each side, for the blending of scaled edges.
      const start = toScreen(view, { x: stale.left - 1, y: stale.top - 1 });
      const end = toScreen(view, { x: stale.right + 1, y: stale.bottom + 1 });
      context.beginPath();
      context.rect(
        Math.floor(start.x),
        Math.floor(start.y),
        Math.ceil(end.x - start.x) + 1,
        Math.ceil(end.y - start.y) + 1,
      );
      context.clip();
    }
    context.fillStyle = BACKGROUND;
    context.fillRect(0, 0, this.screen.width, this.screen.height);
    // Pixels are what is drawn on, so close up they are shown as they are.
    context.imageSmoothingEnabled = view.scale < 3;
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    context.drawImage(shown.canvas, 0, 0);
    context.restore();
    if (stale === "all") this.drawGlass();
  }

  private drawGlass(): void {
    const { above, hand, view, pointer } = this;
    above.clearRect(0, 0, this.glass.width, this.glass.height);
    if (!this.subject || this.subject.locked || this.other) return;
    const ratio = window.devicePixelRatio;
    above.lineWidth = ratio;
    const [r, g, b] = hand.value > 0 ? colourOf(hand.value) : [255, 255, 255];
    above.strokeStyle = hand.tool === "eraser" ? "#fff" : `rgb(${r} ${g} ${b})`;
    const corners = this.drag?.kind === "lasso" ? this.drag.corners : this.corners;
    if (corners.length > 0) {
      above.beginPath();
      for (const corner of corners) {
        const { x, y } = toScreen(view, corner);
        above.lineTo(x, y);
      }
      if (pointer && this.corners.length > 0) above.lineTo(pointer.x, pointer.y);
      above.stroke();
      const start = toScreen(view, corners[0]);
      above.strokeRect(start.x - 3 * ratio, start.y - 3 * ratio, 6 * ratio, 6 * ratio);
    }
    if (pointer && (hand.tool === "brush" || hand.tool === "eraser")) {
      above.beginPath();
      above.arc(pointer.x, pointer.y, Math.max((hand.size * view.scale) / 2, 1), 0, 2 * Math.PI);
      above.stroke();
    }
  }
}

function inside(map: { width: number; height: number }, place: Point): boolean {
  return place.x >= 0 && place.y >= 0 && place.x < map.width && place.y < map.height;
}
