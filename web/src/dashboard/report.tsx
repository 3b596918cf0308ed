/** The report of an import, a check or an export: what did not come first, then what came. */

import { useState } from "preact/hooks";
import type { CaseTaken } from "../api/client";
import { t } from "../texts";
import { caseWords, type Report } from "./transfer";

const text = t.transfers;
/** Longer lists are folded. */
const OPEN_ROWS = 6;
/** A browser shows no more rows than this at once. */
const MOST_ROWS = 500;

export function ReportView(props: { report: Report }) {
  const { found, refused, left_out: leftOut, warnings, taken } = props.report;
  return (
    <div class="report">
      {found && <p>{text.found(found)}</p>}
      <Reasons title={text.refused} reasons={refused} serious />
      <Reasons title={text.leftOut} reasons={leftOut} serious />
      <Reasons title={text.warnings} reasons={warnings} />
      {taken && taken.length > 0 && <Taken cases={taken} />}
    </div>
  );
}

function Reasons(props: {
  title: (count: number) => string;
  reasons: Record<string, string | string[]> | undefined;
  serious?: boolean;
}) {
  const rows = Object.entries(props.reasons ?? {});
  if (rows.length === 0) return null;
  return (
    <Folded title={props.title(rows.length)} count={rows.length} serious={props.serious}>
      <dl class="said">
        {rows.slice(0, MOST_ROWS).map(([name, why]) => (
          <div key={name}>
            <dt>{name || text.whole}</dt>
            {[why].flat().map((line) => (
              <dd key={line}>{line}</dd>
            ))}
          </div>
        ))}
      </dl>
      <More count={rows.length} />
    </Folded>
  );
}

function Taken(props: { cases: CaseTaken[] }) {
  const { cases } = props;
  return (
    <Folded title={text.cases(cases.length)} count={cases.length}>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              {text.caseColumns.map((column) => (
                <th scope="col" key={column}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cases.slice(0, MOST_ROWS).map((one) => (
              <tr key={one.name}>
                {caseWords(one).map((cell, place) => (
                  <td key={text.caseColumns[place]}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <More count={cases.length} />
    </Folded>
  );
}

/** A part with a title; a long one opens when it is asked for, and costs nothing before. */
function Folded(props: {
  title: string;
  count: number;
  serious?: boolean | undefined;
  children: preact.ComponentChildren;
}) {
  const [open, setOpen] = useState(props.count <= OPEN_ROWS);
  return (
    <details
      class={props.serious ? "serious" : undefined}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{props.title}</summary>
      {open && props.children}
    </details>
  );
}

function More(props: { count: number }) {
  return props.count > MOST_ROWS ? <p class="small">{text.more(props.count - MOST_ROWS)}</p> : null;
}
