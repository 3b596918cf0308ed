/** The channel that is shown, its window, and the value under the pointer. */

import type { Channel } from "../api/slices";
import type { Pointed } from "../draw/board";
import { presetsOf } from "../draw/window";
import { t } from "../texts";
import { CT_KEYS, printed } from "./keys";
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
  const inWords = (value: number): string =>
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
          {presetsOf(channel?.unit ?? null).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={preset === name}
              title={
                name in CT_KEYS
                  ? text.presetHint(text.presets[name], printed(CT_KEYS[name]))
                  : undefined
              }
              disabled={!channel}
              onClick={() => controls.usePreset(name)}
            >
              {text.presets[name]}
            </button>
          ))}
        </div>
        <p class="small">
          {text.level} {inWords(window.level)} · {text.width} {inWords(window.width)}
        </p>
        <PointedValue pointed={props.pointed} printed={inWords} />
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
