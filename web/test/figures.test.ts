/** What models came to, as it is written on the dashboard. */

import { describe, expect, it } from "vitest";
import type { Model } from "../src/api/client";
import {
  besideParent,
  caveats,
  currentOf,
  difference,
  intervalOf,
  measured,
  notesOf,
  SHOWN,
  shownOf,
  written,
} from "../src/dashboard/figures";
import { pairedInterval } from "../src/dashboard/paired";

const [DICE, , HD95, , LESIONS] = SHOWN;

function model(number: number, changes: Partial<Model> = {}): Model {
  return {
    id: number,
    number,
    parent: null,
    job: number,
    architecture: {},
    training_masks: [],
    scores: {},
    removed: {},
    seed: 0,
    seconds: 1,
    created_at: `2026-01-0${number}T00:00:00Z`,
    promoted_at: null,
    held_back: null,
    ...changes,
  };
}

describe("the current model", () => {
  it("is not one that was held back, unless an admin made it current", () => {
    const worse = model(2, { held_back: "kept model 1: model 2 was worse by 0.08 on 32 slices" });
    expect(currentOf([model(1), worse])?.number).toBe(1);
    expect(currentOf([model(1), { ...worse, promoted_at: "2026-02-01T00:00:00Z" }])?.number).toBe(
      2,
    );
    expect(currentOf([])).toBeUndefined();
  });

  it("says what went otherwise than it should", () => {
    expect(notesOf(model(1))).toEqual([]);
    const judged = { parent: 4, on: "validation", ours: 0.61, theirs: 0.69, slices: 32, cases: 6 };
    const scores = { guarded: true, collapses: [{}, {}], judged };
    const troubled = model(5, { held_back: "worse than model 4", scores });
    expect(notesOf(troubled)).toEqual([
      "Its training collapsed 2 times: it missed a class that its labels are full of, or its loss was no number. It was begun again, more gently.",
      "Kept model 4: model 5 was worse by 0.08 on 32 slices.",
    ]);
    expect(besideParent(troubled)[0]).toContain("model 4, on 32 slices");
    expect(notesOf({ ...troubled, promoted_at: "2026-02-01T00:00:00Z" })[1]).toContain("by hand");
    const unguarded = model(1, { scores: { collapses: [{}] } });
    expect(notesOf(unguarded)).toHaveLength(1);
    expect(notesOf(unguarded)[0]).toMatch(/^Its training collapsed once: .* number\.$/);
    const blind = { ...scores, collapsed: { predicted: [0], labelled: [0, 1] } };
    const lost = model(5, { held_back: "its training collapsed", scores: blind });
    expect(notesOf(lost)[0]).toContain("in vain");
    expect(notesOf(lost)[1]).toBe("its training collapsed");
  });
});

describe("figures", () => {
  it("are of the test cases where there are any", () => {
    const scores = { validation: { dice_case: 0.5 }, test: { dice_case: 0.4 } };
    expect(measured({ scores })).toEqual({ on: "test", figures: { dice_case: 0.4 } });
    expect(measured({ scores: { cross_validation: { dice_case: 0.3 } } })?.on).toBe(
      "cross_validation",
    );
    expect(measured({ scores: {} })).toBeNull();
  });

  it("are written with their interval, and lesions as so many of all", () => {
    const figures = {
      dice_case: 0.71234,
      lesion_sensitivity: 0.7778,
      lesions: 9,
      lesions_found: 7,
      intervals: {
        dice_case: [0.6, 0.8] as [number, number],
        lesion_sensitivity: [0.456, 1] as [number, number],
      },
    };
    expect(written(figures, DICE)).toBe("0.712");
    expect(intervalOf(figures, DICE)).toBe("0.600 to 0.800");
    expect(written(figures, LESIONS)).toBe("7 of 9");
    expect(intervalOf(figures, LESIONS)).toBe("46 % to 100 %");
    expect(intervalOf({ intervals: { dice_case: null } }, DICE)).toBe("");
  });

  it("differ for the better where distances fall or Dice rises", () => {
    const [before, after] = [
      { dice_case: 0.7, hd95_mm: 12.0 },
      { dice_case: 0.75, hd95_mm: 9.5 },
    ];
    expect(difference(before, after, DICE)).toBe("+0.050 (better)");
    expect(difference(before, after, HD95)).toBe("−2.5 (better)");
    expect(difference(after, before, HD95)).toBe("+2.5 (worse)");
    expect(difference(before, { dice_case: 0.7001 }, DICE)).toBe("the same");
    expect(difference(before, {}, DICE)).toBe("–");
  });

  it("leave out what models of earlier versions do not have", () => {
    expect(shownOf([{ dice_case: 0.4, dice_slice: 0.5, hd95_mm: null }])).toEqual(
      SHOWN.slice(0, 2),
    );
  });

  it("say over how many cases they are", () => {
    const figures = { cases: 12, slices: 340, surface_cases: 3, hd95_missed: 1 };
    const [on, surfaces, missed] = caveats({ on: "test", figures });
    expect(on).toBe("Measured on the test cases: 12 cases, 340 slices.");
    expect(surfaces).toContain("3 of 12 cases");
    expect(missed).toContain("In 1 case ");
  });
});

describe("two models case by case", () => {
  const by = (values: (number | null)[]) => ({
    by_case: Object.fromEntries(values.map((value, n) => [`case-${n}`, { dice: [value] }])),
  });

  it("differ surely where every case does, however hard the cases are", () => {
    const before = by([0.1, 0.5, 0.9, 0.3]);
    const after = by([0.15, 0.55, 0.95, 0.35]);
    const [low, high] = pairedInterval(before, after, DICE)!;
    expect(low).toBeCloseTo(0.05);
    expect(high).toBeCloseTo(0.05);
  });

  it("do not where some gain what others lose", () => {
    const [before, after] = [by([0.5, 0.5, 0.5, 0.5]), by([0.7, 0.3, 0.6, 0.4])];
    const [low, high] = pairedInterval(before, after, DICE)!;
    expect(low).toBeLessThan(0);
    expect(high).toBeGreaterThan(0);
    expect(pairedInterval(before, after, DICE)).toEqual([low, high]);
  });

  it("are not compared over other cases, or a single one", () => {
    expect(pairedInterval(by([0.5, 0.5]), by([0.5]), DICE)).toBeNull();
    expect(pairedInterval(by([0.5]), by([0.6]), DICE)).toBeNull();
    expect(pairedInterval(by([0.5, null]), by([0.6, 0.7]), DICE)).toBeNull();
    expect(pairedInterval({}, by([0.6, 0.7]), DICE)).toBeNull();
  });
});
