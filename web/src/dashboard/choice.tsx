/** A choice among the names of the catalogue; what no worker can load is shown with the reason. */

import { t } from "../texts";

/** A name of the catalogue; `error` says why no worker can load it. */
export interface Entry {
  name: string;
  error?: string | null;
}

export function EntryField(props: {
  label: string;
  hint?: string | undefined;
  name?: string;
  entries: Entry[];
  value: string;
  onChange: (name: string) => void;
}) {
  const { entries, value } = props;
  const chosen = entries.find((entry) => entry.name === value);
  return (
    <label title={props.hint}>
      <span class="small">{props.label}</span>
      <select
        name={props.name}
        value={value}
        onChange={(event) => props.onChange(event.currentTarget.value)}
      >
        {/* What is chosen stays visible, also where the catalogue no longer has it. */}
        {value !== "" && !chosen && <option value={value}>{value}</option>}
        {entries.map(({ name, error }) => (
          <option key={name} value={name} disabled={Boolean(error)} title={error ?? undefined}>
            {error ? t.dashboard.cannotLoad(name, error) : name}
          </option>
        ))}
      </select>
    </label>
  );
}
