/** Where the picture lies on the screen: scale and shift, in device pixels. */

import type { Point } from "./tools";

const SMALLEST = 0.1;
const LARGEST = 64;

export interface View {
  /** Device pixels that a pixel of the picture is wide. */
  scale: number;
  /** A pixel's height over its width, in millimetres: 2 where rows lie twice as far apart. */
  aspect: number;
  x: number;
  y: number;
}

/** The picture as large as it fits, in the middle. */
export function fitted(
  picture: { width: number; height: number },
  screen: { width: number; height: number },
  aspect = 1,
): View {
  const tall = picture.height * aspect;
  const scale = Math.min(screen.width / picture.width, screen.height / tall) * 0.98;
  return {
    scale,
    aspect,
    x: (screen.width - picture.width * scale) / 2,
    y: (screen.height - tall * scale) / 2,
  };
}

/** Closer or further, with the place under the pointer staying where it is. */
export function zoomed(view: View, at: Point, factor: number): View {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const by = scale / view.scale;
  return { ...view, scale, x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by };
}

/** The place in the picture under a place on the screen. */
export function toPicture(view: View, at: Point): Point {
  const { scale, aspect } = view;
  return { x: (at.x - view.x) / scale, y: (at.y - view.y) / (scale * aspect) };
}

/** The place on the screen of a place in the picture. */
export function toScreen(view: View, at: Point): Point {
  const { scale, aspect } = view;
  return { x: view.x + at.x * scale, y: view.y + at.y * scale * aspect };
}
