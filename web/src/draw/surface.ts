/** Two canvases, one above the other: the composed slice, and what lies over it. */

import type { Point, Rect } from "./tools";
import { union } from "./tools";
import { fitted, toScreen, type View, zoomed } from "./view";

const BACKGROUND = "#0b0c0e";

/** What is painted, asked for at each frame. */
export interface Content {
  /** The picture, one canvas pixel for each of its own; null where there is none yet. */
  picture(): HTMLCanvasElement | null;
  /** The height of the picture's pixels over their width. */
  aspect(): number;
  /** Draw what lies over it, in device pixels, on an empty canvas. */
  over(overlay: CanvasRenderingContext2D): void;
}

export class Surface {
  /** The upper canvas; the pointer is above it. */
  readonly overlay = document.createElement("canvas");
  private readonly screen = document.createElement("canvas");
  private readonly context = this.screen.getContext("2d", {
    alpha: false,
    willReadFrequently: true,
  })!;
  private readonly above = this.overlay.getContext("2d")!;
  private readonly sizes: ResizeObserver;
  private shown: View = { scale: 1, aspect: 1, x: 0, y: 0 };
  private stale: Rect | "all" | null = null;
  private frame = 0;

  constructor(
    private readonly host: HTMLElement,
    private readonly content: Content,
  ) {
    host.append(this.screen, this.overlay);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(host);
  }

  /** Take the canvases out of the page. */
  remove(): void {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.screen.remove();
    this.overlay.remove();
  }

  get view(): View {
    return this.shown;
  }

  set view(view: View) {
    this.shown = view;
    this.refresh("all");
  }

  /** The whole picture, as large as it fits. */
  fit(): void {
    const picture = this.content.picture();
    if (picture) this.view = fitted(picture, this.screen, this.content.aspect());
  }

  /** Zoom about a place in device pixels; without one, about the middle. */
  zoom(factor: number, about: Point | null): void {
    const middle = { x: this.screen.width / 2, y: this.screen.height / 2 };
    this.view = zoomed(this.view, about ?? middle, factor);
  }

  /** Where a pointer is, in device pixels. */
  at(event: { clientX: number; clientY: number }): Point {
    const box = this.overlay.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  /** Paint a part of the picture again at the next frame. */
  refresh(part: Rect | "all"): void {
    this.stale = part === "all" || this.stale === "all" ? "all" : union(this.stale, part);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  /** Paint what lies over the picture again, at once. */
  refreshOverlay(): void {
    this.above.clearRect(0, 0, this.overlay.width, this.overlay.height);
    this.content.over(this.above);
  }

  private resize(): void {
    const ratio = window.devicePixelRatio;
    const width = Math.max(1, Math.round(this.host.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.host.clientHeight * ratio));
    if (this.screen.width === width && this.screen.height === height) return;
    for (const canvas of [this.screen, this.overlay]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.fit();
  }

  private paint(): void {
    this.frame = 0;
    const { context, view, stale } = this;
    this.stale = null;
    const picture = this.content.picture();
    if (!picture || !stale) return;
    // Where the picture lies, for whoever looks at the page from outside (its tests).
    this.host.dataset.view = JSON.stringify({ ...view, ratio: window.devicePixelRatio });
    context.save();
    if (stale !== "all") this.clipTo(stale);
    context.fillStyle = BACKGROUND;
    context.fillRect(0, 0, this.screen.width, this.screen.height);
    // Pixels are what is drawn on, so close up they are shown as they are.
    context.imageSmoothingEnabled = view.scale < 3;
    context.setTransform(view.scale, 0, 0, view.scale * view.aspect, view.x, view.y);
    context.drawImage(picture, 0, 0);
    context.restore();
    if (stale === "all") this.refreshOverlay();
  }

  private clipTo(part: Rect): void {
    const { context, view } = this;
    // A pixel more on each side, for the blending of scaled edges.
    const start = toScreen(view, { x: part.left - 1, y: part.top - 1 });
    const end = toScreen(view, { x: part.right + 1, y: part.bottom + 1 });
    const [left, top] = [Math.floor(start.x), Math.floor(start.y)];
    context.beginPath();
    context.rect(left, top, Math.ceil(end.x) - left + 1, Math.ceil(end.y) - top + 1);
    context.clip();
  }
}
