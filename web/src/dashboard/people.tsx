/** Who drew how much, how fast, and how much alike. */

import { useMemo } from "preact/hooks";
import { type AnnotatorDay, api, data } from "../api/client";
import { t } from "../texts";
import { Failure, figure, Panel, useLoaded } from "../ui";
import { ChartView, markOf, PALETTE } from "./chart";

const text = t.dashboard;

interface Person {
  account: string;
  masks: number;
  timed: number;
  seconds: number;
  blank: number;
  rejected: number;
  agreements: number[];
}

/** The days of each annotator added up. */
export function people(days: AnnotatorDay[]): Person[] {
  const found = new Map<string, Person>();
  for (const day of days) {
    const person = found.get(day.account) ?? {
      account: day.account,
      masks: 0,
      timed: 0,
      seconds: 0,
      blank: 0,
      rejected: 0,
      agreements: [],
    };
    person.masks += day.masks;
    person.timed += day.timed;
    person.seconds += day.seconds;
    person.blank += day.blank;
    person.rejected += day.rejected;
    if (day.agreement !== null) person.agreements.push(day.agreement);
    found.set(day.account, person);
  }
  return [...found.values()].sort((a, b) => b.masks - a.masks);
}

const mean = (values: number[]): number | null =>
  values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null;

export function PeoplePanel(props: { project: string; version: string }) {
  const days = useLoaded(
    () =>
      data(api.GET("/projects/{name}/annotators", { params: { path: { name: props.project } } })),
    props.version,
  );
  const found = days.value ?? [];
  const rows = people(found);
  const charts = useMemo(() => {
    const dates = [...new Set(found.map((day) => day.day))].sort();
    const names = people(found).map((person) => person.account);
    const chart = (
      title: string,
      value: (day: AnnotatorDay) => number | null,
      stacked: boolean,
    ) => ({
      title,
      config: {
        type: stacked ? ("bar" as const) : ("line" as const),
        data: {
          labels: dates,
          datasets: names.map((name, place) => ({
            label: name,
            data: dates.map((date) => {
              const day = found.find((one) => one.account === name && one.day === date);
              return day ? value(day) : null;
            }),
            backgroundColor: PALETTE[place % PALETTE.length],
            borderColor: PALETTE[place % PALETTE.length],
            pointStyle: markOf(place),
            spanGaps: true,
            maxBarThickness: 48,
          })),
        },
        options: {
          scales: { x: { stacked }, y: { stacked, min: 0, title: { display: true, text: title } } },
        },
      },
    });
    const all = [
      chart(text.perDay, (day) => day.masks, true),
      chart(text.minutesPerDay, (day) => day.seconds / 60, true),
    ];
    const agreed = found.some((day) => day.agreement !== null);
    return agreed ? [...all, chart(text.agreementPerDay, (day) => day.agreement, false)] : all;
  }, [days.value]);
  return (
    <Panel title={text.people} wide>
      {days.error && <Failure error={days.error} retry={() => void days.reload()} />}
      {days.value && rows.length === 0 && <p>{text.noPeople}</p>}
      {rows.length > 0 && (
        <>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  {text.peopleColumns.map((column) => (
                    <th scope="col" key={column}>
                      {column}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((person) => (
                  <tr key={person.account}>
                    <th scope="row">{person.account}</th>
                    <td>{person.masks}</td>
                    <td>{figure(person.seconds / 60, 1)}</td>
                    <td>
                      {person.timed > 0 ? figure(person.seconds / person.timed, 1) : figure(null)}
                    </td>
                    <td>{person.blank}</td>
                    <td>{person.rejected}</td>
                    <td>{figure(mean(person.agreements))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <div class="charts">
            {charts.map(({ title, config }) => (
              <ChartView key={title} label={title} config={config} />
            ))}
          </div>
        </>
      )}
    </Panel>
  );
}
