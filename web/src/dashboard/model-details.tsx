/** A model's figures in full, and two models side by side. */

import type { Model } from "../api/client";
import { t } from "../texts";
import { Dialog } from "../ui";
import {
  besideParent,
  caveats,
  difference,
  type Figures,
  intervalOf,
  measured,
  notesOf,
  SHOWN,
  type Shown,
  shownOf,
  signed,
  written,
} from "./figures";
import { pairedInterval } from "./paired";

const text = t.figures;

/** A value with its interval below it. */
export function Value(props: { figures: Figures; shown: Shown }) {
  const interval = intervalOf(props.figures, props.shown);
  return (
    <>
      {written(props.figures, props.shown)}
      {interval && <span class="interval">{interval}</span>}
    </>
  );
}

/** All figures of a model, by class where there are several. */
export function ModelDetails(props: { model: Model; classes: string[]; onClose: () => void }) {
  const { model } = props;
  const found = measured(model);
  const whole = found?.figures ?? {};
  const byClass = whole.classes ?? [];
  const rows: [string, Figures][] =
    byClass.length > 1
      ? [[text.allClasses, whole], ...byClass.map((one, n) => rowOf(props.classes, n, one))]
      : [[props.classes[1] ?? text.allClasses, whole]];
  const shown = shownOf([whole, ...byClass]);
  return (
    <Dialog title={text.of(model.number)} onClose={props.onClose}>
      {[...notesOf(model), ...besideParent(model), ...(found ? caveats(found) : [text.none])].map(
        (line) => (
          <p key={line}>{line}</p>
        ),
      )}
      {found && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">{text.class}</th>
                {shown.map(({ key }) => (
                  <th scope="col" class="number" key={key}>
                    {text.names[key]}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, figures]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {shown.map((one) => (
                    <td class="number" key={one.key}>
                      <Value figures={figures} shown={one} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Explained shown={shown} tolerance={whole.nsd_tolerance_mm ?? null} />
    </Dialog>
  );
}

/** A class's name; of one that no mask has, this is said. */
function rowOf(classes: string[], place: number, figures: Figures): [string, Figures] {
  const name = classes[place + 1] ?? text.classNumber(place + 1);
  return [figures.labelled_cases === 0 ? text.notLabelled(name) : name, figures];
}

/** What each figure means, in a sentence. */
function Explained(props: { shown: Shown[]; tolerance: number | null }) {
  return (
    <details>
      <summary>{text.meaning}</summary>
      <dl class="said">
        {props.shown.map(({ key }) => (
          <div key={key}>
            <dt>{text.names[key]}</dt>
            <dd>{key === "nsd" ? text.surfaceDice(props.tolerance ?? 0) : text.hints[key]}</dd>
          </div>
        ))}
        <dt>{text.intervals}</dt>
        <dd>{text.intervalHint}</dd>
      </dl>
    </details>
  );
}

/** Two models, the older first, with what the newer one is better or worse by. */
export function Comparison(props: { one: Model; other: Model; classes: string[] }) {
  const [older, newer] = [props.one, props.other].sort((a, b) => a.number - b.number);
  const known = new Set(older.training_masks);
  const added = newer.training_masks.filter((mask) => !known.has(mask)).length;
  const [before, after] = [measured(older), measured(newer)];
  const [theirs, ours] = [before?.figures ?? {}, after?.figures ?? {}];
  const shown = shownOf([theirs, ours]);
  const classes = Math.max(theirs.classes?.length ?? 0, ours.classes?.length ?? 0);
  const byClass = Array.from({ length: classes > 1 ? classes : 0 }, (_, n) => n);
  return (
    <table>
      <caption>
        {t.dashboard.newMasks(added)} ({older.training_masks.length} → {newer.training_masks.length}
        ){before && after && before.on !== after.on && <> {text.otherCases}</>}
        {before && after && <span class="note">{text.paired}</span>}
      </caption>
      <thead>
        <tr>
          <th scope="col">{t.dashboard.compare}</th>
          {[
            t.dashboard.model(older.number),
            t.dashboard.model(newer.number),
            t.dashboard.difference,
          ].map((heading) => (
            <th scope="col" class="number" key={heading}>
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {shown.map((one) => (
          <Compared
            key={one.key}
            name={text.names[one.key]}
            shown={one}
            before={theirs}
            after={ours}
          />
        ))}
        {byClass.map((n) => (
          <Compared
            key={n}
            name={`${text.names.dice_case}, ${rowOf(props.classes, n, {})[0]}`}
            shown={SHOWN[0]}
            before={theirs.classes?.[n] ?? {}}
            after={ours.classes?.[n] ?? {}}
          />
        ))}
      </tbody>
    </table>
  );
}

function Compared(props: { name: string; shown: Shown; before: Figures; after: Figures }) {
  const { shown, before, after } = props;
  const paired = pairedInterval(before, after, shown);
  return (
    <tr>
      <th scope="row">{props.name}</th>
      <td class="number">
        <Value figures={before} shown={shown} />
      </td>
      <td class="number">
        <Value figures={after} shown={shown} />
      </td>
      <td class="number">
        {difference(before, after, shown)}
        {paired && (
          <span class="interval">
            {text.interval(signed(paired[0], shown.digits), signed(paired[1], shown.digits))}
          </span>
        )}
      </td>
    </tr>
  );
}
