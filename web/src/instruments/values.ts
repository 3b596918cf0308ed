/** Numbers in the file's own unit, printed as finely as the file distinguishes them. */

const FINEST_DECIMALS = 6;

/** A value of a channel in words, such as "−32 HU"; `slope` is the step between stored values. */
export function formatValue(value: number, slope: number, unit: string | null): string {
  const decimals = Math.max(0, Math.ceil(-Math.log10(Math.abs(slope)) - 1e-9));
  const number =
    decimals > FINEST_DECIMALS ? value.toPrecision(4) : noMinusZero(value.toFixed(decimals));
  const printed = number.replace("-", "−");
  return unit ? `${printed} ${unit}` : printed;
}

function noMinusZero(number: string): string {
  return Number(number) === 0 ? number.replace("-", "") : number;
}
