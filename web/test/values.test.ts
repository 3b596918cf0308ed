/** Values in the file's own unit: what is shown black and white, and how numbers are printed. */

import { encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { channelOf, channelsOf } from "../src/api/slices";
import { decodeGray } from "../src/draw/pixels";
import { fullWindow, lookupTable, narrowest, PRESETS } from "../src/draw/window";
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

  it("may fall with the stored values", () => {
    const inverted = decodeGray(png, { slope: -1, intercept: 0 });
    expect(fullWindow(inverted)).toEqual({ level: -2000, width: 4000 });
    expect(narrowest(inverted)).toBe(1);
    const table = lookupTable(fullWindow(inverted), 65536, inverted);
    expect([table[0], table[4000]]).toEqual([0, 255]);
  });
});

describe("a value", () => {
  it("is printed with its unit, as finely as the file distinguishes values", () => {
    expect(formatValue(-32, 1, "HU")).toBe("−32 HU");
    expect(formatValue(-0.2, 1, "HU")).toBe("0 HU");
    expect(formatValue(0.1234, 0.01, null)).toBe("0.12");
    expect(formatValue(1234.5, 2, null)).toBe("1235");
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
