/** The readings of a slice: whose they are, how they came about, how much they agree. */

import { meanDice } from "../draw/tools";
import { t } from "../texts";
import { figure } from "../ui";
import type { Opened } from "./panes";

const text = t.review;

export function Readings(props: {
  opened: Opened;
  selected: number;
  onSelect: (mask: number) => void;
}) {
  const { item, maps } = props.opened;
  const chosen = maps.get(props.selected)!;
  return (
    <ul aria-label={text.readings}>
      {item.readings.map((reading) => (
        <li key={reading.id}>
          <label>
            <input
              type="radio"
              name="reading"
              checked={reading.id === props.selected}
              onChange={() => props.onSelect(reading.id)}
            />
            {reading.source === "consensus"
              ? text.consensus
              : text.reading(reading.author, reading.revision)}
          </label>
          <span class="small">
            {text.states[reading.review_state]}
            {reading.origin && ` · ${text.origins[reading.origin] ?? reading.origin}`}
            {reading.late && ` · ${text.late}`}
            {reading.seconds !== null && ` · ${text.seconds(reading.seconds)}`}
            {reading.id !== props.selected &&
              ` · ${text.dice(figure(meanDice(chosen.classes, maps.get(reading.id)!.classes)))}`}
          </span>
        </li>
      ))}
    </ul>
  );
}
