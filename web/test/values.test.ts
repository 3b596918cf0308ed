/** Values in the file's own unit: what is shown black and white, and how numbers are printed. */

import { encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { channelOf, channelsOf } from "../src/api/slices";
import { decodeGray } from "../src/draw/pixels";
import {
  CT_WINDOWS,
  fullWindow,
  lookupTable,
  narrowest,
  PRESETS,
  presetAfter,
  presetsOf,
  presetWindow,
} from "../src/draw/window";
import { formatValue } from "../src/instruments/values";

const stored = Uint16Array.of(0, 1000, 1024, 1064, 2000, 4000);
const png = encode({ width: 6, height: 1, data: stored, channels: 1, depth: 16 });
const ct = decodeGray(png, { slope: 1, intercept: -1024 });

describe("a window in Hounsfield units", () => {
  it("looks stored values up", () => {
    const table = lookupTable({ level: 40, width: 400 }, 65536, ct);
    // Black is at −160 HU, white at 240 HU; 140 HU are stored as 1164.
    expect([table[864], table[1164], table[1264], table[0], table[4000]]).toEqual([
      0, 191, 255, 0, 255,
    ]);
  });

  it("spans the whole range in the file's values", () => {
    expect(fullWindow(ct)).toEqual({ level: 976, width: 4000 });
  });

  it("of every preset moves with slope and intercept", () => {
    const plain = decodeGray(png);
    const scaled = decodeGray(png, { slope: 0.5, intercept: 10 });
    for (const preset of Object.values(PRESETS)) {
      const { level, width } = preset(plain);
      expect(preset(scaled)).toEqual({ level: level * 0.5 + 10, width: width * 0.5 });
    }
  });

  it("shows the order that is stored, also where values fall with it", () => {
    const inverted = decodeGray(png, { slope: -1, intercept: 0 });
    expect(fullWindow(inverted)).toEqual({ level: -2000, width: 4000 });
    expect(narrowest(inverted)).toBe(1);
    const table = lookupTable(fullWindow(inverted), 65536, inverted);
    expect([table[0], table[1000], table[4000]]).toEqual([0, 64, 255]);
    // 0 to 100 HU, stored as 3000 − value: 0 HU and below are white, 100 HU and above are black.
    const hounsfield = { slope: -1, intercept: 3000 };
    const narrow = lookupTable({ level: 50, width: 100 }, 65536, hounsfield);
    expect([narrow[2800], narrow[2900], narrow[2960], narrow[3000], narrow[4000]]).toEqual([
      0, 0, 153, 255, 255,
    ]);
    for (const preset of Object.values(PRESETS)) {
      const { level, width } = preset(decodeGray(png));
      expect(preset(inverted)).toEqual({ level: -level, width });
    }
  });

  it("is exact for fractions", () => {
    const fractions = decodeGray(png, { slope: 0.001, intercept: -0.5 });
    expect(fullWindow(fractions).width).toBeCloseTo(4, 12);
    const table = lookupTable(fullWindow(fractions), 65536, fractions);
    expect([table[0], table[2000], table[4000]]).toEqual([0, 128, 255]);
  });
});

describe("the windows of CT", () => {
  it("are offered in Hounsfield units only", () => {
    expect(presetsOf("HU").slice(4)).toEqual(Object.keys(CT_WINDOWS));
    expect(presetsOf(null)).toEqual(Object.keys(PRESETS));
    expect(presetsOf("US")).toEqual(Object.keys(PRESETS));
    expect([presetAfter("bright", "HU"), presetAfter("bright", null)]).toEqual(["brain", "full"]);
    expect(presetAfter("liver", "HU")).toBe("full");
  });

  it("are the field's, whatever the slice holds", () => {
    expect(presetWindow("lung", ct)).toEqual({ level: -600, width: 1500 });
    const brain = lookupTable(presetWindow("brain", ct), 65536, ct);
    // Black is at 0 HU, white at 80 HU.
    expect([brain[1024], brain[1064], brain[1104]]).toEqual([0, 128, 255]);
  });
});

describe("a value", () => {
  it("is printed with its unit, as finely as the file distinguishes values", () => {
    expect(formatValue(-32, 1, "HU")).toBe("−32 HU");
    expect(formatValue(-0.2, 1, "HU")).toBe("0 HU");
    expect(formatValue(0.1234, 0.01, null)).toBe("0.12");
    expect(formatValue(1234.5, 2, null)).toBe("1235");
    expect(formatValue(-0.1234, -0.01, null)).toBe("−0.12");
    expect(formatValue(1.23456e-9, 1e-12, null)).toBe("1.235e−9");
  });
});

describe("channels", () => {
  const flair = { name: "flair", image: "/slices/1/image?channel=flair", slope: 2, intercept: 1 };

  it("are those of the slice; one called image where the server names none", () => {
    expect(channelsOf({ image: "/slices/1/image" })).toEqual([
      { name: "image", image: "/slices/1/image", slope: 1, intercept: 0, unit: null },
    ]);
    expect(channelsOf({ image: "", channels: [flair] })).toEqual([{ ...flair, unit: null }]);
  });

  it("are found by name, or else the first", () => {
    const channels = [{ name: "t1", image: "/a" }, flair];
    expect(channelOf({ image: "", channels }, "flair").slope).toBe(2);
    expect(channelOf({ image: "", channels }, "t2").name).toBe("t1");
    expect(channelOf({ image: "", channels }, null).name).toBe("t1");
  });
});
