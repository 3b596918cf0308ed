/** A labelled slider with its value in words. */

export function Slider(props: {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  shown: string;
  disabled?: boolean;
  onInput: (value: number) => void;
}) {
  return (
    <label class="slider">
      <span>
        {props.label} <output>{props.shown}</output>
      </span>
      <input
        type="range"
        min={props.min}
        max={props.max}
        step={props.step}
        value={props.value}
        disabled={props.disabled ?? false}
        onInput={(event) => props.onInput(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`;
