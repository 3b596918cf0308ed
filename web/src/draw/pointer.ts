/** What pointer, pen, fingers and wheel do on a canvas, told as gestures. */

import { Fingers } from "./fingers";
import type { Point } from "./tools";
import type { View } from "./view";

/** What gestures act on; all places are in device pixels. */
export interface Gestures {
  /** Whether there is anything to point at. */
  ready(): boolean;
  /** Whether dragging moves the picture, as where it is only looked at. */
  movesPicture(): boolean;
  view(): View;
  setView(view: View): void;
  /** Begin to draw; false where the tool does all it does at once. */
  begin(at: Point, erases: boolean): boolean;
  draw(at: Point): void;
  finish(): void;
  cancel(): void;
  dragWindow(dx: number, dy: number): void;
  zoom(factor: number, at: Point): void;
  /** The pointer is there now, or has left. */
  hover(at: Point | null): void;
  scroll(steps: number): void;
  resize(steps: number): void;
  active(): void;
}

/** So far (in CSS pixels) a wheel turns for one step; touchpads send many small turns. */
const WHEEL_STEP = 40;
const LINE_HEIGHT = 16;

type Drag = { kind: "draw" } | { kind: "pan" | "window"; last: Point };

export class PointerInput {
  private drag: Drag | null = null;
  private readonly fingers = new Fingers();
  /** Who draws with a pen rests a hand on the board: from then on fingers only move the picture. */
  private hasPen = false;
  private spaceHeld = false;
  private wheelTurned = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly at: (event: { clientX: number; clientY: number }) => Point,
    private readonly gestures: Gestures,
  ) {
    canvas.addEventListener("pointerdown", this.down);
    canvas.addEventListener("pointermove", this.move);
    canvas.addEventListener("pointerup", this.up);
    canvas.addEventListener("pointercancel", this.cancel);
    canvas.addEventListener("pointerleave", () => gestures.hover(null));
    canvas.addEventListener("wheel", this.wheel, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Whatever is dragged is let go. */
  stop(): void {
    this.drag = null;
  }

  /** While the space bar is held, dragging moves the picture. */
  holdSpace(held: boolean): void {
    this.spaceHeld = held;
    this.canvas.style.cursor = held ? "grab" : "";
  }

  private fingersMove(): boolean {
    return this.hasPen || this.fingers.count > 1;
  }

  private down = (event: PointerEvent): void => {
    const { gestures } = this;
    if (!gestures.ready()) return;
    this.canvas.setPointerCapture(event.pointerId);
    // Keys now mean the drawing again, not the button that was clicked last.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    const at = this.at(event);
    gestures.active();
    event.preventDefault();
    this.hasPen ||= event.pointerType === "pen";
    if (event.pointerType === "touch") {
      this.fingers.down(event.pointerId, at);
      // A second finger means to move the picture, also if the first had begun to draw.
      if (this.fingers.count > 1 && this.drag) gestures.cancel();
      if (this.fingersMove()) return;
    } else if (this.drag) {
      return;
    }
    gestures.hover(at);
    const moves = this.spaceHeld || gestures.movesPicture();
    if (event.button === 1 || (event.button === 0 && moves)) {
      this.drag = { kind: "pan", last: at };
    } else if (event.button === 2) {
      this.drag = { kind: "window", last: at };
    } else if (gestures.begin(at, event.button === 5)) {
      this.drag = { kind: "draw" };
    }
  };

  private move = (event: PointerEvent): void => {
    const { gestures } = this;
    const at = this.at(event);
    if (event.pointerType === "touch") {
      const moved = this.fingers.move(event.pointerId, at, gestures.view());
      if (this.fingersMove()) {
        gestures.setView(moved);
        return;
      }
    }
    if (this.drag) {
      gestures.active();
      // A fast pen moves several times a frame: all of its places belong to the line.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length > 0 ? events : [event]) this.dragTo(this.at(one));
    }
    gestures.hover(at);
  };

  private dragTo(at: Point): void {
    const { drag, gestures } = this;
    if (!drag) return;
    if (drag.kind === "draw") {
      gestures.draw(at);
      return;
    }
    const [dx, dy] = [at.x - drag.last.x, at.y - drag.last.y];
    drag.last = at;
    if (drag.kind === "window") {
      gestures.dragWindow(dx, dy);
    } else {
      const view = gestures.view();
      gestures.setView({ ...view, x: view.x + dx, y: view.y + dy });
    }
  }

  private up = (event: PointerEvent): void => {
    if (event.pointerType === "touch") {
      const moved = this.fingersMove();
      this.fingers.up(event.pointerId);
      if (moved) return;
    }
    const { drag, gestures } = this;
    this.drag = null;
    if (this.canvas.hasPointerCapture(event.pointerId)) {
      this.canvas.releasePointerCapture(event.pointerId);
    }
    if (!drag) return;
    gestures.active();
    if (drag.kind === "draw") gestures.finish();
  };

  private cancel = (event: PointerEvent): void => {
    this.fingers.up(event.pointerId);
    this.gestures.cancel();
  };

  private wheel = (event: WheelEvent): void => {
    const { gestures } = this;
    event.preventDefault();
    gestures.active();
    if (event.ctrlKey || event.metaKey) {
      gestures.zoom(Math.exp(-event.deltaY * 0.002), this.at(event));
      return;
    }
    // With Shift held, browsers turn the wheel sideways.
    const turned = event.deltaY || event.deltaX;
    this.wheelTurned +=
      event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? turned : turned * LINE_HEIGHT;
    if (Math.abs(this.wheelTurned) < WHEEL_STEP) return;
    const step = Math.sign(this.wheelTurned);
    this.wheelTurned = 0;
    if (event.shiftKey) gestures.resize(-step);
    else gestures.scroll(step);
  };
}
