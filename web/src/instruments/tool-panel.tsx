/** The class that is painted, and how large or how far. */

import { colourOf } from "../draw/compose";
import type { ToolSettings } from "../draw/tool-settings";
import { t } from "../texts";
import { percent, Slider } from "./slider";

const text = t.instruments;

export function ToolPanel(props: {
  classes: string[];
  tool: ToolSettings;
  onTool: (change: Partial<ToolSettings>) => void;
}) {
  const { classes, tool } = props;
  return (
    <>
      <fieldset>
        <legend>{text.classes}</legend>
        {classes.slice(1).map((name, place) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="class"
              checked={tool.value === place + 1}
              onChange={() => props.onTool({ value: place + 1 })}
            />
            <Swatch index={place + 1} />
            {name} {place < 9 && <kbd>{place + 1}</kbd>}
          </label>
        ))}
      </fieldset>
      {tool.kind === "grow" ? (
        <Slider
          label={text.tolerance}
          value={tool.tolerance}
          min={0.005}
          max={1}
          step={0.005}
          shown={percent(tool.tolerance)}
          onInput={(tolerance) => props.onTool({ tolerance })}
        />
      ) : (
        <Slider
          label={text.size}
          value={tool.size}
          min={1}
          max={Math.max(100, tool.size)}
          step={1}
          shown={text.pixels(tool.size)}
          onInput={(size) => props.onTool({ size })}
        />
      )}
    </>
  );
}

/** The colour of a class. */
function Swatch(props: { index: number }) {
  const [r, g, b] = colourOf(props.index);
  return (
    <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
      <rect width="10" height="10" fill={`rgb(${r} ${g} ${b})`} />
    </svg>
  );
}
