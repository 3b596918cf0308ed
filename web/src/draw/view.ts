/** Where the picture lies on the screen: scale and shift, in device pixels. */

import type { Point } from "./tools";

const SMALLEST = 0.1;
const LARGEST = 64;

export interface View {
  scale: number;
  x: number;
  y: number;
}

/** The picture as large as it fits, in the middle. */
export function fitted(
  picture: { width: number; height: number },
  screen: { width: number; height: number },
): View {
  const scale = Math.min(screen.width / picture.width, screen.height / picture.height) * 0.98;
  return {
    scale,
    x: (screen.width - picture.width * scale) / 2,
    y: (screen.height - picture.height * scale) / 2,
  };
}

/** Closer or further, with the place under the pointer staying where it is. */
export function zoomed(view: View, at: Point, factor: number): View {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by };
}

/** The place in the picture under a place on the screen. */
export function toPicture(view: View, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

/** The place on the screen of a place in the picture. */
export function toScreen(view: View, at: Point): Point {
  return { x: view.x + at.x * view.scale, y: view.y + at.y * view.scale };
}
