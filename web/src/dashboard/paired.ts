/** Two models compared case by case: what one case is hard for is so for both, and cancels out. */

import type { Figures, Shown } from "./figures";

const DRAWS = 1000;
const MIDDLE = 0.95;
/** What is kept of each case for a figure that is a mean over cases. */
const OF_CASES = { dice_case: "dice", hd95_mm: "hd95_mm", nsd: "nsd" } as const;

/**
 * The 95 % interval of the mean difference over cases, by bootstrap, the same at every look; null
 * where the two were not measured on the same cases, or on fewer than two.
 */
export function pairedInterval(before: Figures, after: Figures, shown: Shown) {
  const differences = pairs(before, after, shown.key);
  if (!differences || differences.length < 2) return null;
  const random = generator();
  const means = Array.from({ length: DRAWS }, () => {
    let sum = 0;
    for (let n = 0; n < differences.length; n++)
      sum += differences[Math.floor(random() * differences.length)];
    return sum / differences.length;
  }).sort((a, b) => a - b);
  const tail = (1 - MIDDLE) / 2;
  return [tail, 1 - tail].map((share) => means[Math.round(share * (DRAWS - 1))]);
}

/** After less before of every case that has a value, or null where these are not the same. */
function pairs(before: Figures, after: Figures, key: Shown["key"]): number[] | null {
  const field = OF_CASES[key as keyof typeof OF_CASES];
  const [theirs, ours] = [before.by_case, after.by_case];
  if (!field || !theirs || !ours) return null;
  const names = Object.keys(theirs);
  if (names.length !== Object.keys(ours).length || names.some((name) => !ours[name])) return null;
  const found = names.map((name) => [mean(theirs[name][field]), mean(ours[name][field])] as const);
  if (found.some(([one, other]) => (one === null) !== (other === null))) return null;
  return found.flatMap(([one, other]) => (one === null || other === null ? [] : [other - one]));
}

/** Of a case over its classes. */
function mean(values: (number | null)[] | undefined): number | null {
  const known = (values ?? []).filter((value) => value !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** Numbers in [0, 1) from a fixed seed: Park and Miller's generator. */
function generator(): () => number {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return (state - 1) / 2147483646;
  };
}
