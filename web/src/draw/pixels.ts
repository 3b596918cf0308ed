/** Decoding and encoding pictures at their full bit depth, which browsers do not. */

import { decode, encode } from "fast-png";

/** How stored values become the file's own: stored · slope + intercept. */
export interface ValueScale {
  slope: number;
  intercept: number;
}

/** A greyscale picture: stored `values` row by row, 8 or 16 bits each. */
export interface GrayPicture extends ValueScale {
  width: number;
  height: number;
  values: Uint8Array | Uint16Array;
  /** The least and the greatest stored value. */
  low: number;
  high: number;
}

/** The file's own value of a stored one. */
export function fileValue({ slope, intercept }: ValueScale, stored: number): number {
  return stored * slope + intercept;
}

/** A map of class indices, row by row; 0 is background. */
export interface ClassMap {
  width: number;
  height: number;
  classes: Uint8Array;
}

/** A map of a picture's size: of background, where no classes are given. */
export function blankMap(
  { width, height }: { width: number; height: number },
  classes: Uint8Array = new Uint8Array(width * height),
): ClassMap {
  return { width, height, classes };
}

/** Decode a greyscale PNG of 8 or 16 bits. Throws an `Error` for any other. */
export function decodeGray(
  bytes: Uint8Array,
  { slope, intercept }: ValueScale = { slope: 1, intercept: 0 },
): GrayPicture {
  const png = decode(bytes);
  if (png.channels !== 1 || png.palette || png.depth < 8) {
    throw new Error(`expected a greyscale PNG of 8 or 16 bits, got ${png.channels} channels`);
  }
  const values = png.data as Uint8Array | Uint16Array;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { width: png.width, height: png.height, values, low, high, slope, intercept };
}

/** Decode a PNG of class indices. */
export function decodeClasses(bytes: Uint8Array): ClassMap {
  const { width, height, values } = decodeGray(bytes);
  return { width, height, classes: Uint8Array.from(values) };
}

/** Encode class indices as a greyscale PNG of 8 bits: the same map gives the same bytes. */
export function encodeClasses({ width, height, classes }: ClassMap): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(encode({ width, height, data: classes, channels: 1, depth: 8 }));
}
