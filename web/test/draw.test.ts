/** The drawing tools, checked against shapes worked out by hand. */

import { encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { Fingers } from "../src/draw/fingers";
import { History } from "../src/draw/history";
import { type ClassMap, decodeClasses, decodeGray, encodeClasses } from "../src/draw/pixels";
import { adjusted, type ToolSettings } from "../src/draw/tool-settings";
import {
  acceptComponent,
  fillPolygon,
  floodFill,
  growRegion,
  meanDice,
  outline,
  stamp,
  stroke,
  whole,
} from "../src/draw/tools";
import { fitted, toPicture, toScreen, zoomed } from "../src/draw/view";
import { lookupTable, percentileWindow } from "../src/draw/window";
import { ActiveClock } from "../src/instruments/clock";

/** A map from rows of digits. */
function map(...rows: string[]): ClassMap {
  return {
    width: rows[0].length,
    height: rows.length,
    classes: Uint8Array.from(rows.join(""), Number),
  };
}

const blank = (width: number, height: number): ClassMap => ({
  width,
  height,
  classes: new Uint8Array(width * height),
});

const rows = (drawn: ClassMap): string[] =>
  Array.from({ length: drawn.height }, (_, y) =>
    drawn.classes.slice(y * drawn.width, (y + 1) * drawn.width).join(""),
  );

describe("brush", () => {
  it("of one pixel sets the pixel under the pointer, wherever in it the pointer is", () => {
    for (const within of [0.01, 0.5, 0.99]) {
      const drawn = blank(4, 3);
      stamp(drawn, { x: 2 + within, y: 1 + within }, 1, 1);
      expect(rows(drawn)).toEqual(["0000", "0010", "0000"]);
    }
  });

  it("of three pixels is a square: its corners are nearer than the radius", () => {
    const drawn = blank(5, 5);
    stamp(drawn, { x: 2.5, y: 2.5 }, 3, 2);
    expect(rows(drawn)).toEqual(["00000", "02220", "02220", "02220", "00000"]);
  });

  it("of two pixels is a square between pixels", () => {
    const drawn = blank(4, 4);
    stamp(drawn, { x: 2, y: 2 }, 2, 1);
    expect(rows(drawn)).toEqual(["0000", "0110", "0110", "0000"]);
  });

  it("leaves no gap in a fast stroke and stays on the picture", () => {
    const drawn = blank(8, 3);
    const touched = stroke(drawn, { x: -3, y: 1.5 }, { x: 11, y: 1.5 }, 1, 1);
    expect(rows(drawn)).toEqual(["00000000", "11111111", "00000000"]);
    expect(touched).toEqual({ left: 0, top: 1, right: 8, bottom: 2 });
  });

  it("erases with the background", () => {
    const drawn = map("111", "111");
    stroke(drawn, { x: 0.5, y: 0.5 }, { x: 2.5, y: 0.5 }, 1, 0);
    expect(rows(drawn)).toEqual(["000", "111"]);
  });
});

describe("areas", () => {
  it("fills a polygon by pixel centres", () => {
    const drawn = blank(5, 5);
    fillPolygon(
      drawn,
      [
        { x: 1, y: 1 },
        { x: 4, y: 1 },
        { x: 4, y: 4 },
        { x: 1, y: 4 },
      ],
      1,
    );
    expect(rows(drawn)).toEqual(["00000", "01110", "01110", "01110", "00000"]);
  });

  it("needs three corners for a polygon", () => {
    const drawn = blank(5, 5);
    expect(
      fillPolygon(
        drawn,
        [
          { x: 1, y: 1 },
          { x: 4, y: 1 },
        ],
        1,
      ),
    ).toBeNull();
  });

  it("floods up to an outline, not around its corners", () => {
    const drawn = map("0110", "1001", "0110");
    floodFill(drawn, { x: 1.5, y: 1.5 }, 1);
    expect(rows(drawn)).toEqual(["0110", "1111", "0110"]);
  });

  it("grows over similar values that hang together", () => {
    const values = Uint16Array.from([10, 11, 50, 10, 12, 13, 50, 10]);
    const picture = { width: 4, height: 2, values, low: 10, high: 50, slope: 1, intercept: 0 };
    const drawn = blank(4, 2);
    growRegion(drawn, picture, { x: 0.5, y: 0.5 }, 2, 3);
    expect(rows(drawn)).toEqual(["3300", "3000"]);
  });

  it("accepts one part of a suggestion with its classes", () => {
    const suggestion = map("1100", "0200", "0001");
    const drawn = blank(4, 3);
    acceptComponent(drawn, suggestion.classes, { x: 0.5, y: 0.5 });
    expect(rows(drawn)).toEqual(["1100", "0200", "0000"]);
    expect(acceptComponent(drawn, suggestion.classes, { x: 3.5, y: 0.5 })).toBeNull();
  });

  it("outlines what touches another class or the border", () => {
    expect(
      rows({
        ...map("00000", "01110", "01110", "01110", "00000"),
        classes: outline(map("00000", "01110", "01110", "01110", "00000")),
      }),
    ).toEqual(["00000", "01110", "01010", "01110", "00000"]);
  });
});

describe("Dice", () => {
  it("is the mean over the classes that either holds", () => {
    expect(meanDice(map("1122").classes, map("1120").classes)).toBeCloseTo((1 + 2 / 3) / 2);
    expect(meanDice(map("00").classes, map("00").classes)).toBe(1);
    expect(meanDice(map("10").classes, map("01").classes)).toBe(0);
  });
});

describe("history", () => {
  it("takes back and does again, without limit", () => {
    const drawn = blank(30, 1);
    const history = new History(drawn);
    for (let x = 0; x < 30; x++) {
      history.commit(stamp(drawn, { x: x + 0.5, y: 0.5 }, 1, 1));
    }
    for (let step = 0; step < 30; step++) expect(history.undo()).not.toBeNull();
    expect(history.canUndo).toBe(false);
    expect(drawn.classes.every((value) => value === 0)).toBe(true);
    for (let step = 0; step < 30; step++) history.redo();
    expect(drawn.classes.every((value) => value === 1)).toBe(true);
  });

  it("forgets what was undone when something new is drawn", () => {
    const drawn = blank(3, 1);
    const history = new History(drawn);
    history.commit(stamp(drawn, { x: 0.5, y: 0.5 }, 1, 1));
    history.undo();
    history.commit(stamp(drawn, { x: 2.5, y: 0.5 }, 1, 1));
    expect(history.canRedo).toBe(false);
    expect(rows(drawn)).toEqual(["001"]);
  });

  it("keeps no step that changed nothing, and rolls an unfinished one back", () => {
    const drawn = map("100");
    const history = new History(drawn);
    expect(history.commit(stamp(drawn, { x: 0.5, y: 0.5 }, 1, 1))).toBe(false);
    stamp(drawn, { x: 2.5, y: 0.5 }, 1, 1);
    expect(history.rollback()).toEqual({ left: 2, top: 0, right: 3, bottom: 1 });
    expect(rows(drawn)).toEqual(["100"]);
  });
});

describe("pictures", () => {
  it("keep all 16 bits", () => {
    const data = Uint16Array.from({ length: 12 }, (_, index) => index * 5461);
    const png = encode({ width: 4, height: 3, data, channels: 1, depth: 16 });
    const picture = decodeGray(png);
    expect([...picture.values]).toEqual([...data]);
    expect([picture.low, picture.high]).toEqual([0, 60071]);
  });

  it("of classes come back as they went, and the same map gives the same bytes", () => {
    const drawn = map("0123", "3210");
    expect(decodeClasses(encodeClasses(drawn))).toEqual(drawn);
    expect(encodeClasses(drawn)).toEqual(encodeClasses(drawn));
  });

  it("in colour are refused in words", () => {
    const png = encode({ width: 1, height: 1, data: new Uint8Array(3), channels: 3, depth: 8 });
    expect(() => decodeGray(png)).toThrow("greyscale");
  });
});

describe("window", () => {
  it("is black below, white above and even between", () => {
    const table = lookupTable({ level: 100, width: 100 }, 256);
    expect([table[50], table[125], table[150], table[0], table[255]]).toEqual([
      0, 191, 255, 0, 255,
    ]);
  });

  it("by percentiles leaves the blank background out", () => {
    const values = new Uint16Array(1000);
    for (let index = 900; index < 1000; index++) values[index] = index;
    const size = { width: 1000, height: 1 };
    const picture = { ...size, values, low: 0, high: 999, slope: 1, intercept: 0 };
    const { level, width } = percentileWindow(picture, 0, 1);
    expect(level - width / 2).toBeGreaterThanOrEqual(0);
    expect(level + width / 2).toBe(999);
    expect(percentileWindow(picture, 0.1, 0.9).width).toBe(80);
  });
});

describe("view", () => {
  it("keeps the place under the pointer while zooming", () => {
    const view = fitted({ width: 100, height: 50 }, { width: 400, height: 400 });
    const at = { x: 120, y: 222 };
    const closer = zoomed(view, at, 3);
    expect(toPicture(closer, at).x).toBeCloseTo(toPicture(view, at).x);
    const there = toScreen(closer, toPicture(closer, at));
    expect(there.x).toBeCloseTo(at.x);
    expect(there.y).toBeCloseTo(at.y);
  });
});

describe("clock", () => {
  it("counts work and short pauses, not a coffee", () => {
    const clock = new ActiveClock();
    for (const at of [0, 1000, 5000, 900_000, 901_000]) clock.tick(at);
    expect(clock.seconds).toBeCloseTo(6);
  });
});

it("names the whole map", () => {
  expect(whole(blank(7, 5))).toEqual({ left: 0, top: 0, right: 7, bottom: 5 });
});

describe("fingers", () => {
  const view = { scale: 1, aspect: 1, x: 0, y: 0 };

  it("carry the picture along one by one", () => {
    const fingers = new Fingers();
    fingers.down(1, { x: 10, y: 10 });
    expect(fingers.move(1, { x: 15, y: 8 }, view)).toEqual({ ...view, x: 5, y: -2 });
  });

  it("zoom by two: twice as far apart is twice as large, about what lies between them", () => {
    const fingers = new Fingers();
    fingers.down(1, { x: 10, y: 20 });
    fingers.down(2, { x: 30, y: 20 });
    const halfway = fingers.move(1, { x: 0, y: 20 }, view);
    const zoomed = fingers.move(2, { x: 40, y: 20 }, halfway);
    expect(zoomed.scale).toBeCloseTo(2);
    expect(toScreen(zoomed, { x: 20, y: 20 })).toEqual({
      x: expect.closeTo(20),
      y: expect.closeTo(20),
    });
  });

  it("that are not on the board move nothing", () => {
    expect(new Fingers().move(7, { x: 1, y: 1 }, view)).toBe(view);
  });
});

describe("tool settings", () => {
  const tool: ToolSettings = { kind: "brush", value: 1, size: 20, tolerance: 0.1 };

  it("grows and shrinks by a share of its size, within limits", () => {
    expect(adjusted(tool, 1)).toEqual({ size: 23 });
    expect(adjusted({ ...tool, size: 1 }, -1)).toEqual({ size: 1 });
    expect(adjusted({ ...tool, size: 199 }, 1)).toEqual({ size: 200 });
    expect(adjusted({ ...tool, kind: "grow", tolerance: 0.9 }, 1)).toEqual({ tolerance: 1 });
  });
});
