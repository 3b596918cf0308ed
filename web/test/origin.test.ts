/** What is told of how a mask came about. */

import { describe, expect, it } from "vitest";
import { addressOf } from "../src/annotate/pending";
import { type Can, MaskEditor } from "../src/draw/editor";

describe("the address of a mask", () => {
  const mask = { slice: 7, seconds: 12.34 };

  it("tells the seconds alone where nothing was taken over", () => {
    expect(addressOf(mask)).toBe("/slices/7/masks?seconds=12.3");
    // So masks look that an earlier version left in the browser.
    expect(addressOf({ ...mask, suggestionModel: null, blank: false })).toBe(addressOf(mask));
  });

  it("names the model whose suggestion was taken over", () => {
    const sent = addressOf({ ...mask, suggestionModel: 3, blank: false });
    expect(sent).toBe("/slices/7/masks?seconds=12.3&suggestion=3");
  });

  it("says blank for what was said, whatever had been drawn before", () => {
    const sent = addressOf({ ...mask, suggestionModel: 3, blank: true });
    expect(sent).toBe("/slices/7/masks?seconds=12.3&blank=true");
  });
});

describe("the accept tool", () => {
  const size = { width: 3, height: 1 };
  const suggested = { ...size, classes: Uint8Array.of(1, 0, 0) };
  const tool = { kind: "accept" as const, value: 1, size: 1, tolerance: 0.1 };

  function editor() {
    const told: string[] = [];
    const cans: Can[] = [];
    const values = new Uint8Array(3);
    const made = new MaskEditor(
      {
        picture: { ...size, values, low: 0, high: 0, slope: 1, intercept: 0 },
        mask: { ...size, classes: Uint8Array.of(1, 0, 0) },
        suggestion: suggested,
        aspect: 1,
      },
      {
        touched: () => {},
        drawn: () => told.push("drawn"),
        accepted: () => told.push("accepted"),
        can: (can) => cans.push(can),
      },
    );
    return { made, told };
  }

  it("tells of a part that is taken over, also where it was drawn alike", () => {
    const { made, told } = editor();
    made.begin({ x: 0.5, y: 0.5 }, tool, false, 1, () => false);
    expect(told).toEqual(["accepted"]);
  });

  it("tells nothing where nothing is suggested", () => {
    const { made, told } = editor();
    made.begin({ x: 2.5, y: 0.5 }, tool, false, 1, () => false);
    expect(told).toEqual([]);
  });
});
