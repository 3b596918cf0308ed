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
export interface OverlaySettings {
  maskOpacity: number;
  suggestion: boolean;
  uncertaintyOpacity: number;
}

/** How the picture and what lies over it are shown. */
export interface DisplaySettings extends OverlaySettings {
  window: Window;
}

const rgba = (r: number, g: number, b: number): number =>
  ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

export class Composer {
  readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly out: Uint32Array;
  /** The colour of every stored value without anything over it; red, green and blue are equal. */
  private greys: Uint32Array = new Uint32Array(0);
  /** Grey to colour, for each class; and each class alone. */
  private tints: Uint32Array[] = [];
  private solid: number[] = [];
  /** Uncertainty and grey to colour, where there is no class. */
  private heats: Uint32Array = new Uint32Array(0);

  constructor(
    private readonly picture: GrayPicture,
    private readonly mask: ClassMap,
    /** Classes of the project, background included. */
    private readonly classCount: number,
    private readonly suggestionOutline: Uint8Array | null,
    private readonly uncertainty: Uint8Array | null,
    private display: DisplaySettings,
  ) {
    this.canvas.width = picture.width;
    this.canvas.height = picture.height;
    this.context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true })!;
    this.image = this.context.createImageData(picture.width, picture.height);
    this.out = new Uint32Array(this.image.data.buffer);
    this.show(display);
  }

  /** Compose everything again. */
  show(display: DisplaySettings): void {
    const size = this.picture.values instanceof Uint16Array ? 65536 : 256;
    if (this.greys.length !== size || display.window !== this.display.window) {
      // Plain loops: `from` with a function takes longer than all of the drawing.
      const table = lookupTable(display.window, size, this.picture);
      this.greys = new Uint32Array(size);
      for (let value = 0; value < size; value++) {
        this.greys[value] = rgba(table[value], table[value], table[value]);
      }
    }
    if (this.tints.length === 0 || display.maskOpacity !== this.display.maskOpacity) {
      this.tints = [];
      for (let index = 0; index < this.classCount; index++) {
        this.tints.push(
          tint(index === 0 ? [0, 0, 0] : colourOf(index), index && display.maskOpacity),
        );
      }
    }
    if (this.solid.length === 0) {
      for (let index = 0; index < 256; index++) {
        this.solid.push(index === 0 ? 0 : rgba(...colourOf(index)));
      }
    }
    if (
      this.uncertainty &&
      (this.heats.length === 0 || display.uncertaintyOpacity !== this.display.uncertaintyOpacity)
    ) {
      this.heats = new Uint32Array(65536);
      for (let at = 0; at < 65536; at++) {
        const grey = rgba(at & 255, at & 255, at & 255);
        this.heats[at] = heated(grey, (at >> 8) * (display.uncertaintyOpacity / 255));
      }
    }
    this.display = display;
    this.draw(whole(this.picture));
  }

  /** Compose a part again, after drawing on it. */
  draw(rect: Rect): void {
    const { width, values } = this.picture;
    const { classes } = this.mask;
    const { out, greys, tints, solid, heats } = this;
    const { uncertaintyOpacity } = this.display;
    const edge = this.display.suggestion ? this.suggestionOutline : null;
    const heat = uncertaintyOpacity > 0 ? this.uncertainty : null;
    for (let y = rect.top; y < rect.bottom; y++) {
      const start = y * width + rect.left;
      const end = y * width + rect.right;
      for (let index = start; index < end; index++) {
        const grey = greys[values[index]];
        const drawn = classes[index];
        out[index] = drawn === 0 ? grey : tints[drawn][grey & 255];
      }
      if (heat) {
        for (let index = start; index < end; index++) {
          if (heat[index] === 0) continue;
          out[index] =
            classes[index] === 0
              ? heats[(heat[index] << 8) | (out[index] & 255)]
              : heated(out[index], heat[index] * (uncertaintyOpacity / 255));
        }
      }
      if (edge) {
        for (let index = start; index < end; index++) {
          if (edge[index] !== 0) out[index] = solid[edge[index]];
        }
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
}

/** Every grey with a share of a colour over it. */
function tint([r, g, b]: [number, number, number], share: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, grey) =>
    rgba(grey + (r - grey) * share, grey + (g - grey) * share, grey + (b - grey) * share),
  );
}

/** A colour with a share of magenta over it: uncertainty, for no class has that colour. */
function heated(colour: number, share: number): number {
  const r = colour & 255;
  const g = (colour >> 8) & 255;
  const b = (colour >> 16) & 255;
  return rgba(r + (255 - r) * share, g * (1 - share), b + (255 - b) * share);
}
