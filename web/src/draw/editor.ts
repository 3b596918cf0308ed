/** A drawing in work: what each tool does to a mask, step by step. */

import { History } from "./history";
import type { ClassMap, GrayPicture } from "./pixels";
import type { ToolSettings } from "./tool-settings";
import {
  acceptComponent,
  fillPolygon,
  floodFill,
  growRegion,
  type Point,
  type Rect,
  replace,
  stroke,
  union,
} from "./tools";
import { narrowest } from "./window";

/** Whether there is a step to be taken back, or done again. */
export interface Can {
  undo: boolean;
  redo: boolean;
}

/** What is drawn on; `aspect` is the height of a pixel over its width. */
export interface Canvas {
  picture: GrayPicture;
  mask: ClassMap;
  suggestion: ClassMap | null;
  aspect: number;
}

/** What the editor tells its board. */
export interface EditorEvents {
  /** Pixels in there have another class now. */
  touched(rect: Rect): void;
  /** A step was drawn, undone or done again. */
  drawn(): void;
  /** A part of the suggestion is about to be taken over. */
  accepted(): void;
  can(can: Can): void;
}

type Drawing =
  | { kind: "stroke"; last: Point; value: number; size: number; touched: Rect | null }
  | { kind: "lasso"; corners: Point[] };

export class MaskEditor {
  private readonly history: History;
  private drawing: Drawing | null = null;
  private corners: Point[] = [];
  private told: Can | null = null;

  constructor(
    private readonly canvas: Canvas,
    private readonly events: EditorEvents,
  ) {
    this.history = new History(canvas.mask);
    this.tellSteps();
  }

  /** Region growing looks at another channel from now on. */
  setPicture(picture: GrayPicture): void {
    this.canvas.picture = picture;
  }

  /** Whether a polygon is begun. */
  get isOutlining(): boolean {
    return this.corners.length > 0;
  }

  /** The outline that is being drawn; `open` when the pointer draws its next side. */
  get outline(): { corners: Point[]; open: boolean } {
    return this.drawing?.kind === "lasso"
      ? { corners: this.drawing.corners, open: false }
      : { corners: this.corners, open: true };
  }

  /** Begin at a place of the picture; false where the tool does all it does at once.
   *
   * `windowWidth` scales the tolerance of region growing; `isNear` says whether a corner lies under
   * the pointer, which closes a polygon at its first.
   */
  begin(
    place: Point,
    tool: ToolSettings,
    erases: boolean,
    windowWidth: number,
    isNear: (corner: Point) => boolean,
  ): boolean {
    const { mask, aspect } = this.canvas;
    const { kind, value, size } = tool;
    if (erases || kind === "eraser" || kind === "brush") {
      const painted = erases || kind === "eraser" ? 0 : value;
      const touched = stroke(mask, place, place, size, painted, aspect);
      this.drawing = { kind: "stroke", last: place, value: painted, size, touched };
      this.tellTouched(touched);
    } else if (kind === "lasso") {
      this.drawing = { kind: "lasso", corners: [place] };
    } else if (kind === "polygon") {
      this.addCorner(place, value, isNear);
    } else if (inside(mask, place)) {
      this.fillAt(place, tool, windowWidth);
    }
    return this.drawing !== null;
  }

  /** Draw on to a place. */
  drawTo(place: Point): void {
    const { drawing } = this;
    if (!drawing) return;
    if (drawing.kind === "lasso") {
      drawing.corners.push(place);
      return;
    }
    const { mask, aspect } = this.canvas;
    const touched = stroke(mask, drawing.last, place, drawing.size, drawing.value, aspect);
    drawing.last = place;
    drawing.touched = union(drawing.touched, touched);
    this.tellTouched(touched);
  }

  /** The pointer is let go; a lasso is filled with `value`. */
  finish(value: number): void {
    const { drawing } = this;
    this.drawing = null;
    if (drawing?.kind === "stroke") this.commit(drawing.touched, false);
    if (drawing?.kind === "lasso") {
      this.commit(fillPolygon(this.canvas.mask, drawing.corners, value));
    }
  }

  /** Close the polygon that is being drawn. */
  closePolygon(value: number): void {
    const { corners } = this;
    this.corners = [];
    this.commit(fillPolygon(this.canvas.mask, corners, value));
  }

  /** Forget the polygon that is begun, as when another tool is taken. */
  dropOutline(): void {
    this.corners = [];
    this.tellSteps();
  }

  /** Break off what is being drawn. */
  escape(): void {
    this.corners = [];
    if (this.drawing?.kind === "stroke") this.step(this.history.rollback());
    this.drawing = null;
    this.tellSteps();
  }

  undo(): void {
    if (this.corners.length > 0) {
      this.corners.pop();
      this.tellSteps();
    } else {
      this.step(this.history.undo());
    }
  }

  redo(): void {
    this.step(this.history.redo());
  }

  /** Replace the drawing, as one step. */
  replaceWith(classes: Uint8Array): void {
    this.commit(replace(this.canvas.mask, classes));
  }

  private addCorner(place: Point, value: number, isNear: (corner: Point) => boolean): void {
    if (this.corners.length >= 3 && isNear(this.corners[0])) {
      this.closePolygon(value);
      return;
    }
    this.corners.push(place);
    this.tellSteps();
  }

  private fillAt(place: Point, tool: ToolSettings, windowWidth: number): void {
    const { mask, picture, suggestion } = this.canvas;
    if (tool.kind === "fill") this.commit(floodFill(mask, place, tool.value));
    if (tool.kind === "grow") {
      // The window is in the file's values, the picture's are stored ones.
      const tolerance = (tool.tolerance * windowWidth) / narrowest(picture);
      this.commit(growRegion(mask, picture, place, tolerance, tool.value));
    }
    if (tool.kind === "accept" && suggestion) {
      const touched = acceptComponent(mask, suggestion.classes, place);
      if (touched) this.events.accepted();
      this.commit(touched);
    }
  }

  private step(touched: Rect | null): void {
    if (!touched) return;
    this.events.touched(touched);
    this.events.drawn();
    this.tellSteps();
  }

  private commit(touched: Rect | null, tell = true): void {
    if (tell) this.tellTouched(touched);
    if (this.history.commit(touched)) this.events.drawn();
    this.tellSteps();
  }

  private tellTouched(touched: Rect | null): void {
    if (touched) this.events.touched(touched);
  }

  private tellSteps(): void {
    const undo = this.corners.length > 0 || this.history.canUndo;
    const redo = this.history.canRedo;
    if (undo === this.told?.undo && redo === this.told.redo) return;
    this.told = { undo, redo };
    this.events.can(this.told);
  }
}

/** Whether a place lies on a map or picture. */
export function inside(map: { width: number; height: number }, place: Point): boolean {
  return place.x >= 0 && place.y >= 0 && place.x < map.width && place.y < map.height;
}
