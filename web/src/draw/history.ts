/** Undo and redo without limit: each step keeps only the pixels that it changed. */

import type { ClassMap } from "./pixels";
import { clip, type Rect, union } from "./tools";

interface Step {
  indices: Uint32Array;
  before: Uint8Array;
  after: Uint8Array;
  touched: Rect;
}

export class History {
  private done: Step[] = [];
  private undone: Step[] = [];
  private snapshot: Uint8Array;

  constructor(private readonly map: ClassMap) {
    this.snapshot = map.classes.slice();
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Remember what has changed inside `touched` since the last step; false if nothing has. */
  commit(touched: Rect | null): boolean {
    const rect = touched && clip(touched, this.map);
    if (!rect) return false;
    const indices: number[] = [];
    for (let y = rect.top; y < rect.bottom; y++) {
      for (let x = rect.left; x < rect.right; x++) {
        const index = y * this.map.width + x;
        if (this.map.classes[index] !== this.snapshot[index]) indices.push(index);
      }
    }
    if (indices.length === 0) return false;
    const step: Step = {
      indices: Uint32Array.from(indices),
      before: Uint8Array.from(indices, (index) => this.snapshot[index]),
      after: Uint8Array.from(indices, (index) => this.map.classes[index]),
      touched: rect,
    };
    indices.forEach((index) => {
      this.snapshot[index] = this.map.classes[index];
    });
    this.done.push(step);
    this.undone = [];
    return true;
  }

  /** Take the last step back; what it had touched. */
  undo(): Rect | null {
    const step = this.done.pop();
    if (!step) return null;
    this.apply(step, step.before);
    this.undone.push(step);
    return step.touched;
  }

  /** Do again what was taken back last. */
  redo(): Rect | null {
    const step = this.undone.pop();
    if (!step) return null;
    this.apply(step, step.after);
    this.done.push(step);
    return step.touched;
  }

  /** Forget what is drawn since the last step, as when a stroke is broken off. */
  rollback(): Rect | null {
    let touched: Rect | null = null;
    this.map.classes.forEach((value, index) => {
      if (value !== this.snapshot[index]) {
        const left = index % this.map.width;
        const top = (index - left) / this.map.width;
        touched = union(touched, { left, top, right: left + 1, bottom: top + 1 });
      }
    });
    this.map.classes.set(this.snapshot);
    return touched;
  }

  private apply(step: Step, values: Uint8Array): void {
    step.indices.forEach((index, place) => {
      this.map.classes[index] = values[place];
      this.snapshot[index] = values[place];
    });
  }
}
