/** Fingers on the board: one may draw or drag, two drag and zoom, none disturbs a pen. */

import type { Point } from "./tools";
import { type View, zoomed } from "./view";

export class Fingers {
  private readonly places = new Map<number, Point>();

  get count(): number {
    return this.places.size;
  }

  down(id: number, at: Point): void {
    this.places.set(id, at);
  }

  up(id: number): void {
    this.places.delete(id);
  }

  /** The view after a finger has moved: it follows one, and two as if they held the picture. */
  move(id: number, at: Point, view: View): View {
    const last = this.places.get(id);
    if (!last) return view;
    this.places.set(id, at);
    const [other] = [...this.places].filter(([key]) => key !== id).map(([, place]) => place);
    if (!other) return { ...view, x: view.x + at.x - last.x, y: view.y + at.y - last.y };
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const now = Math.hypot(at.x - other.x, at.y - other.y);
    const shifted = { ...view, x: view.x + (at.x - last.x) / 2, y: view.y + (at.y - last.y) / 2 };
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    return before > 0 ? zoomed(shifted, middle, now / before) : shifted;
  }
}
