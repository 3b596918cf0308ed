/** Drawing tools as functions on class maps; each returns what it touched, or null for nothing. */

import type { ClassMap, GrayPicture } from "./pixels";

/** Pixels from (left, top) up to, not including, (right, bottom). */
export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A place in the picture; pixel (x, y) covers x to x + 1 and y to y + 1. */
export interface Point {
  x: number;
  y: number;
}

/** The smallest rectangle that holds both. */
export function union(one: Rect | null, other: Rect | null): Rect | null {
  if (!one || !other) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

/** The part of a rectangle that lies on the map; null where none does. */
export function clip(rect: Rect, map: { width: number; height: number }): Rect | null {
  const clipped = {
    left: Math.max(0, Math.floor(rect.left)),
    top: Math.max(0, Math.floor(rect.top)),
    right: Math.min(map.width, Math.ceil(rect.right)),
    bottom: Math.min(map.height, Math.ceil(rect.bottom)),
  };
  return clipped.left < clipped.right && clipped.top < clipped.bottom ? clipped : null;
}

/** The whole map. */
export function whole(map: { width: number; height: number }): Rect {
  return { left: 0, top: 0, right: map.width, bottom: map.height };
}

/** Where a brush of that diameter sits: on a pixel's centre, or between pixels when it is even. */
function snapped(value: number, diameter: number): number {
  return diameter % 2 === 1 ? Math.floor(value) + 0.5 : Math.round(value);
}

/** How many columns and rows a brush covers whose diameter is `size` times a pixel's shorter side.
 *
 * The brush is round in millimetres, as on the screen, so in pixels that are not square it is an
 * ellipse: a structure's rim is followed alike in every direction. The shorter side is the unit,
 * so that a size of 1 is always exactly one pixel.
 */
export function brushExtent(size: number, aspect: number): { across: number; down: number } {
  const whole = (extent: number): number => Math.max(1, Math.round(extent));
  return { across: whole(size * Math.min(aspect, 1)), down: whole(size / Math.max(aspect, 1)) };
}

/** Set the pixels whose centres lie within a round brush; `aspect` is a pixel's height over its width. */
export function stamp(
  map: ClassMap,
  at: Point,
  size: number,
  value: number,
  aspect = 1,
): Rect | null {
  const { across, down } = brushExtent(size, aspect);
  const x = snapped(at.x, across);
  const y = snapped(at.y, down);
  const rect = clip(
    { left: x - across / 2, top: y - down / 2, right: x + across / 2, bottom: y + down / 2 },
    map,
  );
  if (!rect) return null;
  for (let row = rect.top; row < rect.bottom; row++) {
    const dy = (row + 0.5 - y) / (down / 2);
    const half = (across / 2) * Math.sqrt(Math.max(1 - dy * dy, 0));
    const from = Math.max(rect.left, Math.ceil(x - half - 0.5));
    const to = Math.min(rect.right - 1, Math.floor(x + half - 0.5));
    if (to >= from) map.classes.fill(value, row * map.width + from, row * map.width + to + 1);
  }
  return rect;
}

/** Draw with a round brush from one point to another. */
export function stroke(
  map: ClassMap,
  from: Point,
  to: Point,
  size: number,
  value: number,
  aspect = 1,
): Rect | null {
  const { across, down } = brushExtent(size, aspect);
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const steps = Math.max(1, Math.ceil(length / Math.max(Math.min(across, down) / 4, 0.5)));
  let touched: Rect | null = null;
  for (let step = 0; step <= steps; step++) {
    const share = step / steps;
    const at = { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
    touched = union(touched, stamp(map, at, size, value, aspect));
  }
  return touched;
}

/** Set the pixels whose centres lie inside a polygon (even-odd rule). */
export function fillPolygon(map: ClassMap, corners: Point[], value: number): Rect | null {
  if (corners.length < 3) return null;
  const rect = clip(
    {
      left: Math.min(...corners.map((corner) => corner.x)),
      top: Math.min(...corners.map((corner) => corner.y)),
      right: Math.max(...corners.map((corner) => corner.x)),
      bottom: Math.max(...corners.map((corner) => corner.y)),
    },
    map,
  );
  if (!rect) return null;
  for (let row = rect.top; row < rect.bottom; row++) {
    const y = row + 0.5;
    const crossings: number[] = [];
    corners.forEach((one, index) => {
      const other = corners[(index + 1) % corners.length];
      if (one.y <= y !== other.y <= y) {
        crossings.push(one.x + ((y - one.y) / (other.y - one.y)) * (other.x - one.x));
      }
    });
    crossings.sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const from = Math.max(rect.left, Math.ceil(crossings[pair] - 0.5));
      const to = Math.min(rect.right - 1, Math.ceil(crossings[pair + 1] - 0.5) - 1);
      if (to >= from) map.classes.fill(value, row * map.width + from, row * map.width + to + 1);
    }
  }
  return rect;
}

/** The pixels connected with a start for which `belongs` holds; `diagonal` joins corners too. */
function connected(
  width: number,
  height: number,
  start: Point,
  belongs: (index: number) => boolean,
  diagonal = false,
): number[] {
  const x = Math.floor(start.x);
  const y = Math.floor(start.y);
  if (x < 0 || y < 0 || x >= width || y >= height || !belongs(y * width + x)) return [];
  const seen = new Uint8Array(width * height);
  const found = [y * width + x];
  seen[found[0]] = 1;
  for (let next = 0; next < found.length; next++) {
    const column = found[next] % width;
    const row = (found[next] - column) / width;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        if ((dx === 0 && dy === 0) || (!diagonal && dx !== 0 && dy !== 0)) continue;
        const nx = column + dx;
        const ny = row + dy;
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        const index = ny * width + nx;
        if (seen[index] || !belongs(index)) continue;
        seen[index] = 1;
        found.push(index);
      }
    }
  }
  return found;
}

function paint(map: ClassMap, pixels: number[], value: (index: number) => number): Rect | null {
  let touched: Rect | null = null;
  for (const index of pixels) {
    map.classes[index] = value(index);
    const left = index % map.width;
    const top = (index - left) / map.width;
    if (!touched) touched = { left, top, right: left + 1, bottom: top + 1 };
    if (left < touched.left) touched.left = left;
    if (left >= touched.right) touched.right = left + 1;
    if (top < touched.top) touched.top = top;
    if (top >= touched.bottom) touched.bottom = top + 1;
  }
  return touched;
}

/** Set the connected area that has the class of the pixel there: fills a closed outline. */
export function floodFill(map: ClassMap, at: Point, value: number): Rect | null {
  const old = map.classes[Math.floor(at.y) * map.width + Math.floor(at.x)];
  if (old === value) return null;
  const area = connected(map.width, map.height, at, (index) => map.classes[index] === old);
  return paint(map, area, () => value);
}

/** Set the connected pixels whose intensity differs from the one there by `tolerance` at most. */
export function growRegion(
  map: ClassMap,
  picture: GrayPicture,
  at: Point,
  tolerance: number,
  value: number,
): Rect | null {
  const seed = picture.values[Math.floor(at.y) * map.width + Math.floor(at.x)];
  const area = connected(
    map.width,
    map.height,
    at,
    (index) => Math.abs(picture.values[index] - seed) <= tolerance,
  );
  return paint(map, area, () => value);
}

/** Take over the connected part of the suggestion that lies there. */
export function acceptComponent(map: ClassMap, suggestion: Uint8Array, at: Point): Rect | null {
  const area = connected(map.width, map.height, at, (index) => suggestion[index] > 0, true);
  return paint(map, area, (index) => suggestion[index]);
}

/** Replace the whole map; null when that changes nothing. */
export function replace(map: ClassMap, by: Uint8Array): Rect | null {
  if (by.every((value, index) => value === map.classes[index])) return null;
  map.classes.set(by);
  return whole(map);
}

/** The outline of a map: its foreground pixels that touch another class or the border. */
export function outline({ width, height, classes }: ClassMap): Uint8Array {
  const edge = new Uint8Array(classes.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const index = y * width + x;
      const value = classes[index];
      if (value === 0) continue;
      const inside =
        x > 0 &&
        y > 0 &&
        x < width - 1 &&
        y < height - 1 &&
        classes[index - 1] === value &&
        classes[index + 1] === value &&
        classes[index - width] === value &&
        classes[index + width] === value;
      if (!inside) edge[index] = value;
    }
  }
  return edge;
}

/** Mean Dice over the foreground classes that either map holds; 1 where both are blank. */
export function meanDice(one: Uint8Array, other: Uint8Array): number {
  const both = new Map<number, number>();
  const total = new Map<number, number>();
  one.forEach((value, index) => {
    const second = other[index];
    if (value > 0) total.set(value, (total.get(value) ?? 0) + 1);
    if (second > 0) total.set(second, (total.get(second) ?? 0) + 1);
    if (value > 0 && value === second) both.set(value, (both.get(value) ?? 0) + 1);
  });
  if (total.size === 0) return 1;
  let sum = 0;
  for (const [value, count] of total) sum += (2 * (both.get(value) ?? 0)) / count;
  return sum / total.size;
}
