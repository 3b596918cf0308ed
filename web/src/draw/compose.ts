/** A slice with everything that lies over it, composed pixel by pixel at its own resolution.
 *
 * One table lookup a pixel: so a pen move costs what it touched, and a window drag on 1024 × 1024
 * a few milliseconds, without a GPU.
 */

import type { ClassMap, GrayPicture } from "./pixels";
import { type Rect, whole } from "./tools";
import { lookupTable, type Window } from "./window";

/** Colours of classes 1, 2, …: Okabe and Ito's palette, which colour-blind people can tell apart. */
export const CLASS_COLOURS: [number, number, number][] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];

/** The colour of a class index (1 or more). */
export function colourOf(index: number): [number, number, number] {
  return CLASS_COLOURS[(index - 1) % CLASS_COLOURS.length];
}

/** What is shown over the picture, and how strongly (0 to 1). */
export interface Looks {
  window: Window;
  maskOpacity: number;
  suggestion: boolean;
  uncertaintyOpacity: number;
}

const rgba = (r: number, g: number, b: number): number =>
  ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

export class Composer {
  readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly out: Uint32Array;
  private greys: Uint8Array = new Uint8Array(0);
  /** Grey to colour, for the background and each class. */
  private tints: Uint32Array[] = [];
  private solid: number[] = [];

  constructor(
    private readonly picture: GrayPicture,
    private readonly mask: ClassMap,
    /** Classes of the project, background included. */
    private readonly classCount: number,
    private readonly suggestionOutline: Uint8Array | null,
    private readonly uncertainty: Uint8Array | null,
    private looks: Looks,
  ) {
    this.canvas.width = picture.width;
    this.canvas.height = picture.height;
    this.context = this.canvas.getContext("2d", { alpha: false })!;
    this.image = this.context.createImageData(picture.width, picture.height);
    this.out = new Uint32Array(this.image.data.buffer);
    this.show(looks);
  }

  /** Show everything anew. */
  show(looks: Looks): void {
    const size = this.picture.values instanceof Uint16Array ? 65536 : 256;
    const { window } = this.looks;
    if (this.greys.length !== size || looks.window !== window) {
      this.greys = lookupTable(looks.window, size);
    }
    this.looks = looks;
    this.tints = [];
    this.solid = [];
    for (let index = 0; index < this.classCount; index++) {
      const [r, g, b] = index === 0 ? [0, 0, 0] : colourOf(index);
      const share = index === 0 ? 0 : looks.maskOpacity;
      this.tints.push(
        Uint32Array.from({ length: 256 }, (_, grey) =>
          rgba(grey + (r - grey) * share, grey + (g - grey) * share, grey + (b - grey) * share),
        ),
      );
      this.solid.push(rgba(r, g, b));
    }
    this.draw(whole(this.picture));
  }

  /** Show a part anew, after drawing on it. */
  draw(rect: Rect): void {
    const { width, values } = this.picture;
    const { classes } = this.mask;
    const { out, greys, tints, solid } = this;
    const edge = this.looks.suggestion ? this.suggestionOutline : null;
    const heat = this.looks.uncertaintyOpacity > 0 ? this.uncertainty : null;
    for (let y = rect.top; y < rect.bottom; y++) {
      const end = y * width + rect.right;
      for (let index = y * width + rect.left; index < end; index++) {
        let colour = tints[classes[index]][greys[values[index]]];
        if (heat && heat[index] > 0) colour = this.heated(colour, heat[index]);
        if (edge && edge[index] > 0) colour = solid[edge[index]];
        out[index] = colour;
      }
    }
    this.context.putImageData(
      this.image,
      0,
      0,
      rect.left,
      rect.top,
      rect.right - rect.left,
      rect.bottom - rect.top,
    );
  }

  /** Uncertainty in magenta, the stronger the higher: no class has that colour. */
  private heated(colour: number, value: number): number {
    const share = (value / 255) * this.looks.uncertaintyOpacity;
    const r = colour & 255;
    const g = (colour >> 8) & 255;
    const b = (colour >> 16) & 255;
    return rgba(r + (255 - r) * share, g * (1 - share), b + (255 - b) * share);
  }
}
