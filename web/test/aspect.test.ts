/** Pixels that are not square: where they lie on the screen, and what a brush covers of them. */

import { describe, expect, it } from "vitest";
import { aspectOf } from "../src/api/slices";
import { Fingers } from "../src/draw/fingers";
import { pixelAt } from "../src/draw/pointed";
import { brushExtent, stamp, stroke } from "../src/draw/tools";
import { fitted, toPicture, toScreen, zoomed } from "../src/draw/view";

const blank = (width: number, height: number) => ({
  width,
  height,
  classes: new Uint8Array(width * height),
});

const rows = (map: ReturnType<typeof blank>): string[] =>
  Array.from({ length: map.height }, (_, y) =>
    map.classes.slice(y * map.width, (y + 1) * map.width).join(""),
  );

// 64 × 48 mm: rows lie 0.5 mm apart, columns 1 mm.
const picture = { width: 64, height: 96 };
const aspect = aspectOf({ image: "", spacing: { row: 0.5, column: 1, slice: 3 } });

describe("a slice of 64 × 48 mm", () => {
  it("is drawn 4 : 3, whichever side of the screen is short", () => {
    for (const screen of [
      { width: 1000, height: 300 },
      { width: 300, height: 1000 },
    ]) {
      const view = fitted(picture, screen, aspect);
      const start = toScreen(view, { x: 0, y: 0 });
      const end = toScreen(view, { x: 64, y: 96 });
      const [wide, tall] = [end.x - start.x, end.y - start.y];
      expect(wide / tall).toBeCloseTo(4 / 3);
      expect(Math.max(wide / screen.width, tall / screen.height)).toBeCloseTo(0.98);
      expect(start.x + end.x).toBeCloseTo(screen.width);
      expect(start.y + end.y).toBeCloseTo(screen.height);
    }
  });

  it("has square pixels where nothing is known of its spacing", () => {
    expect(aspectOf({ image: "" })).toBe(1);
    expect(aspectOf({ image: "", spacing: null })).toBe(1);
    expect(aspectOf({ image: "", spacing: { row: 1, column: 0, slice: 1 } })).toBe(1);
  });
});

describe("the pointer", () => {
  const view = fitted(picture, { width: 400, height: 400 }, aspect);

  it("finds the pixel that it is over, after zooming too", () => {
    const place = { x: 40.25, y: 70.75 };
    for (const seen of [view, zoomed(view, { x: 90, y: 40 }, 5)]) {
      const found = toPicture(seen, toScreen(seen, place));
      expect(found.x).toBeCloseTo(place.x);
      expect(found.y).toBeCloseTo(place.y);
    }
  });

  it("keeps its place while zooming", () => {
    const at = { x: 120, y: 222 };
    const closer = zoomed(view, at, 3);
    expect(toPicture(closer, at).x).toBeCloseTo(toPicture(view, at).x);
    expect(toPicture(closer, at).y).toBeCloseTo(toPicture(view, at).y);
  });

  it("reads the value of that pixel", () => {
    const values = Uint16Array.from({ length: 64 * 96 }, (_, index) => index);
    const shown = { ...picture, values, low: 0, high: 6143, slope: 2, intercept: -1024 };
    const at = toScreen(view, { x: 10.5, y: 20.5 });
    const value = (20 * 64 + 10) * 2 - 1024;
    expect(pixelAt(shown, view, at)).toEqual({ column: 10, row: 20, value });
    expect(pixelAt(shown, view, { x: -1, y: -1 })).toBeNull();
  });

  it("of two fingers holds the picture under both", () => {
    const fingers = new Fingers();
    const [one, two] = [toScreen(view, { x: 20, y: 20 }), toScreen(view, { x: 20, y: 60 })];
    fingers.down(1, one);
    fingers.down(2, two);
    const moved = fingers.move(2, { x: two.x, y: two.y + 50 }, view);
    const under = toPicture(moved, one);
    expect(under.x).toBeCloseTo(20);
    expect(under.y).toBeCloseTo(20);
    expect(moved.aspect).toBe(aspect);
  });
});

describe("the brush", () => {
  it("is round in millimetres, with the shorter side of a pixel as its unit", () => {
    expect(brushExtent(9, 1)).toEqual({ across: 9, down: 9 });
    expect(brushExtent(8, 2)).toEqual({ across: 8, down: 4 });
    expect(brushExtent(8, 0.5)).toEqual({ across: 4, down: 8 });
    expect(brushExtent(1, 5)).toEqual({ across: 1, down: 1 });
  });

  it("of size 1 is the pixel under the pointer", () => {
    const map = blank(4, 3);
    stamp(map, { x: 2.9, y: 1.1 }, 1, 1, 0.2);
    expect(rows(map)).toEqual(["0000", "0010", "0000"]);
  });

  it("covers half as many rows where they lie twice as far apart", () => {
    const map = blank(8, 5);
    stamp(map, { x: 4, y: 2 }, 6, 1, 2);
    expect(rows(map)).toEqual(["00000000", "00111100", "01111110", "00111100", "00000000"]);
  });

  it("leaves no gap in a fast stroke along the thin side", () => {
    const map = blank(3, 20);
    stroke(map, { x: 1.5, y: -4 }, { x: 1.5, y: 30 }, 2, 1, 2);
    const drawn = rows(map);
    expect(drawn.every((row) => row === drawn[0])).toBe(true);
    expect(drawn[0]).toContain("1");
  });
});
