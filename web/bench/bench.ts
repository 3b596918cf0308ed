/** How long a frame takes with each way of drawing: pen move, window drag, step to a neighbour.
 *
 * Run by run.py in a browser without a GPU and without a frame limit, so that the time from frame
 * to frame is what the work takes, painting included.
 */

import * as cornerstone from "@cornerstonejs/core";
import { Niivue, NVImage } from "@niivue/niivue";
import { Board } from "../src/draw/board";
import type { GrayPicture } from "../src/draw/pixels";

const FRAMES = 60;
const WARM_UP = 8;

interface Rival {
  pen: ((step: number) => void) | null;
  window: (step: number) => void;
  neighbour: (step: number) => void | Promise<void>;
}

const host = (): HTMLElement => document.getElementById("host")!;
const frame = (): Promise<number> => new Promise(requestAnimationFrame);

/** A slice of 12-bit noise with structure, so that nothing can be skipped. */
function picture(size: number, seed: number): GrayPicture {
  const values = new Uint16Array(size * size);
  for (let index = 0; index < values.length; index++) {
    const x = index % size;
    const y = (index - x) / size;
    values[index] =
      2048 + 1500 * Math.sin((x + seed * 9) / 23) * Math.cos(y / 31) + ((index * 7919) % 300);
  }
  return { width: size, height: size, values, low: 0, high: 4096, slope: 1, intercept: 0 };
}

function ours(size: number, uncertaintyOpacity = 0): Rival {
  const pictures = [0, 1, 2].map((seed) => picture(size, seed));
  const mask = { width: size, height: size, classes: new Uint8Array(size * size) };
  const display = {
    window: { level: 2048, width: 4096 },
    maskOpacity: 0.4,
    suggestion: true,
    uncertaintyOpacity,
  };
  const nothing = () => {};
  const board = new Board(
    host(),
    display,
    { kind: "brush", value: 1, size: Math.round(size / 20), tolerance: 0.1 },
    {},
  );
  board.show({
    picture: pictures[0],
    mask,
    suggestion: null,
    suggestionOutline: Uint8Array.from({ length: size * size }, (_, i) => +(i % 97 === 0)),
    uncertainty: Uint8Array.from({ length: size * size }, (_, i) => i % 256),
    classCount: 3,
  });
  const overlay = host().querySelectorAll("canvas")[1];
  const point = (type: string, step: number) =>
    overlay.dispatchEvent(
      new PointerEvent(type, {
        pointerId: 1,
        button: type === "pointerdown" ? 0 : -1,
        buttons: 1,
        clientX: 200 + 10 * step,
        clientY: 300 + 40 * Math.sin(step / 3),
      }),
    );
  overlay.setPointerCapture = nothing;
  return {
    pen: (step) => point(step === 0 ? "pointerdown" : "pointermove", step),
    window: (step) =>
      board.setDisplay({
        ...display,
        window: { level: 2048 + step * 10, width: 3000 + step * 20 },
      }),
    neighbour: (step) => board.lookAt(pictures[1 + (step % 2)]),
  };
}

/** A NIfTI file in memory, 16 bits, three slices. */
function nifti(size: number): ArrayBuffer {
  const buffer = new ArrayBuffer(352 + size * size * 3 * 2);
  const view = new DataView(buffer);
  view.setInt32(0, 348, true);
  [3, size, size, 3, 1, 1, 1, 1].forEach((value, at) => {
    view.setInt16(40 + 2 * at, value, true);
  });
  view.setInt16(70, 512, true);
  view.setInt16(72, 16, true);
  [1, 1, 1, 1, 1, 1, 1, 1].forEach((value, at) => {
    view.setFloat32(76 + 4 * at, value, true);
  });
  view.setFloat32(108, 352, true);
  view.setInt16(254, 1, true);
  [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0].forEach((value, at) => {
    view.setFloat32(280 + 4 * at, value, true);
  });
  [0x6e, 0x2b, 0x31, 0].forEach((value, at) => {
    view.setUint8(344 + at, value);
  });
  const values = new Uint16Array(buffer, 352);
  for (let seed = 0; seed < 3; seed++) values.set(picture(size, seed).values, seed * size * size);
  return buffer;
}

async function niivue(size: number): Promise<Rival> {
  const canvas = document.createElement("canvas");
  host().append(canvas);
  const nv = new Niivue({ isResizeCanvas: true, show3Dcrosshair: false });
  await nv.attachToCanvas(canvas);
  const volume = await NVImage.new(nifti(size), "slice.nii");
  nv.addVolume(volume);
  nv.setSliceType(nv.sliceTypeAxial);
  nv.createEmptyDrawing();
  nv.setDrawingEnabled(true);
  nv.setPenValue(1, true);
  let last: [number, number, number] = [Math.round(size / 4), Math.round(size / 2), 1];
  return {
    pen: (step) => {
      const to: [number, number, number] = [
        Math.round(size / 4 + (step * size) / 90),
        Math.round(size / 2 + (size / 20) * Math.sin(step / 3)),
        1,
      ];
      nv.drawPenLine(to, last, 1);
      last = to;
      nv.refreshDrawing(true, false);
    },
    window: (step) => {
      volume.cal_min = step * 10;
      volume.cal_max = 3000 + step * 20;
      nv.updateGLVolume();
    },
    neighbour: (step) => nv.moveCrosshairInVox(0, 0, step % 2 === 0 ? 1 : -1),
  };
}

async function cornerstone3d(size: number): Promise<Rival> {
  cornerstone.setUseCPURendering(true);
  await cornerstone.init();
  cornerstone.imageLoader.registerImageLoader("made", ((imageId: string) => {
    const made = picture(size, Number(imageId.split(":")[1]));
    const image = {
      imageId,
      minPixelValue: 0,
      maxPixelValue: 4096,
      slope: 1,
      intercept: 0,
      windowCenter: 2048,
      windowWidth: 4096,
      getPixelData: () => made.values,
      rows: size,
      columns: size,
      height: size,
      width: size,
      color: false,
      rgba: false,
      numberOfComponents: 1,
      columnPixelSpacing: 1,
      rowPixelSpacing: 1,
      sliceThickness: 1,
      invert: false,
      photometricInterpretation: "MONOCHROME2",
      sizeInBytes: size * size * 2,
      dataType: "Uint16Array",
      voxelManager: cornerstone.utilities.VoxelManager.createImageVoxelManager({
        scalarData: made.values as Uint16Array,
        width: size,
        height: size,
        numberOfComponents: 1,
      }),
    };
    return { promise: Promise.resolve(image) };
  }) as never);
  cornerstone.metaData.addProvider((type: string) => {
    if (type === "imagePixelModule") {
      return {
        bitsAllocated: 16,
        bitsStored: 16,
        highBit: 15,
        pixelRepresentation: 0,
        samplesPerPixel: 1,
        photometricInterpretation: "MONOCHROME2",
      };
    }
    if (type === "imagePlaneModule") {
      return {
        imageOrientationPatient: [1, 0, 0, 0, 1, 0],
        imagePositionPatient: [0, 0, 0],
        rowCosines: [1, 0, 0],
        columnCosines: [0, 1, 0],
        rows: size,
        columns: size,
        pixelSpacing: [1, 1],
        columnPixelSpacing: 1,
        rowPixelSpacing: 1,
      };
    }
    if (type === "generalSeriesModule") return { modality: "MR" };
    if (type === "voiLutModule") return { windowCenter: [2048], windowWidth: [4096] };
    return undefined;
  }, 10_000);
  const engine = new cornerstone.RenderingEngine("engine");
  engine.enableElement({
    viewportId: "view",
    type: cornerstone.Enums.ViewportType.STACK,
    element: host() as HTMLDivElement,
  });
  const viewport = engine.getViewport("view") as cornerstone.Types.IStackViewport;
  await viewport.setStack(["made:0", "made:1", "made:2"]);
  viewport.render();
  return {
    // Its CPU renderer shows no label maps, so there is nothing to draw on.
    pen: null,
    window: (step) => {
      viewport.setProperties({ voiRange: { lower: step * 10, upper: 3000 + step * 20 } });
      viewport.render();
    },
    neighbour: async (step) => {
      await viewport.setImageIdIndex(1 + (step % 2));
      viewport.render();
    },
  };
}

/** Milliseconds a frame when every frame shows a change: how smooth a drag is. */
async function timed(action: (step: number) => void | Promise<void>): Promise<number> {
  let start = 0;
  for (let step = 0; step < WARM_UP + FRAMES; step++) {
    if (step === WARM_UP) start = performance.now();
    await action(step);
    await frame();
  }
  return (performance.now() - start) / FRAMES;
}

async function run(): Promise<unknown> {
  const query = new URLSearchParams(location.search);
  const size = Number(query.get("size"));
  const makers = {
    ours,
    "ours with uncertainty": (size: number) => ours(size, 0.4),
    niivue,
    cornerstone3d,
  };
  const rival = await makers[query.get("rival") as keyof typeof makers](size);
  for (let wait = 0; wait < 10; wait++) await frame();
  return {
    pen: rival.pen && (await timed(rival.pen)),
    window: await timed(rival.window),
    neighbour: await timed(rival.neighbour),
  };
}

run().then(
  (found) => {
    document.title = `done ${JSON.stringify(found)}`;
  },
  (error) => {
    document.title = `failed ${error?.stack ?? error}`;
  },
);
