/** The channel that is shown, its window, and the value under the pointer. */

import type { Channel } from "../api/slices";
import type { Pointed } from "../draw/board";
import { PRESETS } from "../draw/window";
import { t } from "../texts";
import { type Signal, useSignal } from "./signal";
import { formatValue } from "./values";
import type { SliceView } from "./viewer";

const text = t.instruments;

export function DisplayPanel(props: {
  view: SliceView;
  channels: Channel[];
  pointed: Signal<Pointed | null>;
  controls: { selectChannel(name: string): void; usePreset(name: string): void };
}) {
  const { view, channels, controls } = props;
  const { channel, window, preset } = view;
  const printed = (value: number): string =>
    formatValue(value, channel?.slope ?? 1, channel?.unit ?? null);
  return (
    <>
      {channels.length > 1 && (
        <fieldset>
          <legend>
            {text.channel} <kbd>M</kbd>
          </legend>
          <div class="presets">
            {channels.map(({ name }) => (
              <button
                key={name}
                type="button"
                aria-pressed={channel?.name === name}
                onClick={() => controls.selectChannel(name)}
              >
                {name}
              </button>
            ))}
          </div>
        </fieldset>
      )}
      <fieldset>
        <legend>
          {text.window} <kbd>W</kbd>
        </legend>
        <div class="presets">
          {Object.keys(PRESETS).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={preset === name}
              disabled={!channel}
              onClick={() => controls.usePreset(name)}
            >
              {text.presets[name as keyof typeof text.presets]}
            </button>
          ))}
        </div>
        <p class="small">
          {text.level} {printed(window.level)} · {text.width} {printed(window.width)}
        </p>
        <PointedValue pointed={props.pointed} printed={printed} />
      </fieldset>
    </>
  );
}

/** A component of its own: a move of the pointer renders nothing else again. */
function PointedValue(props: {
  pointed: Signal<Pointed | null>;
  printed: (value: number) => string;
}) {
  const pixel = useSignal(props.pointed);
  return (
    <p class="small pointed">
      {pixel ? text.pointed(props.printed(pixel.value), pixel.column, pixel.row) : text.noPixel}
    </p>
  );
}
