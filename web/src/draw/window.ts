/** Window and level, in the file's own values: what is shown as black, as white, and between. */

import { fileValue, type GrayPicture } from "./pixels";

/** Values up to `level - width / 2` are black, from `level + width / 2` on white. */
export interface Window {
  level: number;
  width: number;
}

/**
 * The grey (0 to 255) of every stored value of a picture. A negative slope says that low values
 * are shown bright: stored values always run from dark to bright.
 */
export function lookupTable(
  window: Window,
  size: number,
  picture: Pick<GrayPicture, "slope" | "intercept"> = { slope: 1, intercept: 0 },
): Uint8Array {
  const table = new Uint8Array(size);
  const scale = 255 / Math.max(window.width, Number.MIN_VALUE);
  const low = window.level - window.width / 2;
  for (let stored = 0; stored < size; stored++) {
    const grey = (stored * picture.slope + picture.intercept - low) * scale;
    const shown = picture.slope < 0 ? 255 - grey : grey;
    table[stored] = shown <= 0 ? 0 : shown >= 255 ? 255 : Math.round(shown);
  }
  return table;
}

/** The narrowest window that makes sense: one step of the stored values. */
export function narrowest(picture: GrayPicture): number {
  return Math.abs(picture.slope);
}

/** The window from one stored value to another. */
function between(picture: GrayPicture, low: number, high: number): Window {
  const [from, to] = [fileValue(picture, low), fileValue(picture, high)].sort((a, b) => a - b);
  const width = Math.max(to - from, narrowest(picture));
  return { level: from + width / 2, width };
}

/** The whole range of a picture. */
export function fullWindow(picture: GrayPicture): Window {
  return between(picture, picture.low, picture.high);
}

/** From one share of the picture's values to another, blank background left out of account. */
export function percentileWindow(picture: GrayPicture, from: number, to: number): Window {
  const counts = new Uint32Array(picture.high + 1);
  let total = 0;
  for (const value of picture.values) {
    if (value > picture.low) {
      counts[value]++;
      total++;
    }
  }
  if (total === 0) return fullWindow(picture);
  const at = (share: number): number => {
    let seen = 0;
    for (let value = 0; value < counts.length; value++) {
      seen += counts[value];
      if (seen >= share * total) return value;
    }
    return picture.high;
  };
  return between(picture, at(from), at(to));
}

/** Presets by name. */
export const PRESETS: Record<string, (picture: GrayPicture) => Window> = {
  full: fullWindow,
  tissue: (picture) => percentileWindow(picture, 0.01, 0.99),
  soft: (picture) => percentileWindow(picture, 0.1, 0.9),
  bright: (picture) => percentileWindow(picture, 0.5, 0.999),
};

export const FIRST_PRESET = "tissue";

/** The preset behind one, and the first behind the last or behind a window set by hand. */
export function presetAfter(name: string): string {
  const names = Object.keys(PRESETS);
  return names[(names.indexOf(name) + 1) % names.length];
}
