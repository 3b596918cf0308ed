/** Window and level: which stored values are shown as black, as white, and as what between. */

import type { GrayPicture } from "./pixels";

/** Values up to `level - width / 2` are black, from `level + width / 2` on white. */
export interface Window {
  level: number;
  width: number;
}

/** The grey (0 to 255) of every stored value. */
export function lookupTable(window: Window, size: number): Uint8Array {
  const table = new Uint8Array(size);
  const scale = 255 / Math.max(window.width, 1e-6);
  const low = window.level - window.width / 2;
  for (let value = 0; value < size; value++) {
    const grey = (value - low) * scale;
    table[value] = grey <= 0 ? 0 : grey >= 255 ? 255 : Math.round(grey);
  }
  return table;
}

/** The whole range of a picture. */
export function fullWindow(picture: GrayPicture): Window {
  const width = Math.max(picture.high - picture.low, 1);
  return { level: picture.low + width / 2, width };
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
  const low = at(from);
  const width = Math.max(at(to) - low, 1);
  return { level: low + width / 2, width };
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
