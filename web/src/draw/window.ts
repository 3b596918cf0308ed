/** Window and level, in the file's own values: what is shown as black, as white, and between. */

import { fileValue, type GrayPicture } from "./pixels";

/** Values up to `level - width / 2` are at one end of the greys, from `level + width / 2` on at the
 * other: black and white, or white and black where a file shows its lowest value white. */
export interface Window {
  level: number;
  width: number;
}

/** The grey (0 to 255) of every stored value of a picture.
 *
 * The greater stored value is the brighter one. A negative slope says that the file wants its
 * greater values dark (MONOCHROME1): there the lower end of the window is white.
 */
export function lookupTable(
  window: Window,
  size: number,
  picture: Pick<GrayPicture, "slope" | "intercept"> = { slope: 1, intercept: 0 },
): Uint8Array {
  const table = new Uint8Array(size);
  const falls = picture.slope < 0;
  const scale = (falls ? -255 : 255) / Math.max(window.width, Number.MIN_VALUE);
  const black = falls ? window.level + window.width / 2 : window.level - window.width / 2;
  for (let stored = 0; stored < size; stored++) {
    const grey = (stored * picture.slope + picture.intercept - black) * scale;
    table[stored] = grey <= 0 ? 0 : grey >= 255 ? 255 : Math.round(grey);
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

/** Presets by name that are computed from the picture. */
export const PRESETS: Record<string, (picture: GrayPicture) => Window> = {
  full: fullWindow,
  tissue: (picture) => percentileWindow(picture, 0.01, 0.99),
  soft: (picture) => percentileWindow(picture, 0.1, 0.9),
  bright: (picture) => percentileWindow(picture, 0.5, 0.999),
};

export const FIRST_PRESET = "tissue";

/** The windows that CT is read with, in Hounsfield units; others give 130 to 300 at 50 to 100 for
 * a subdural haematoma: this is the middle. */
export const CT_WINDOWS: Record<string, Window> = {
  brain: { width: 80, level: 40 },
  subdural: { width: 215, level: 75 },
  bone: { width: 1800, level: 400 },
  lung: { width: 1500, level: -600 },
  abdomen: { width: 400, level: 50 },
  liver: { width: 150, level: 30 },
};

/** The names of the presets of values in a unit: those of CT only in Hounsfield units. */
export function presetsOf(unit: string | null): string[] {
  return [...Object.keys(PRESETS), ...(unit === "HU" ? Object.keys(CT_WINDOWS) : [])];
}

/** The window of a preset for a picture. */
export function presetWindow(name: string, picture: GrayPicture): Window {
  return CT_WINDOWS[name] ?? PRESETS[name](picture);
}

/** The preset behind one, and the first behind the last or behind a window set by hand. */
export function presetAfter(name: string, unit: string | null): string {
  const names = presetsOf(unit);
  return names[(names.indexOf(name) + 1) % names.length];
}
