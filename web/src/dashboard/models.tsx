/** Models: what they were trained on, two of them side by side, and which is the current one. */

import { useState } from "preact/hooks";
import { all, api, data, type Model } from "../api/client";
import { t } from "../texts";
import { Dialog, Failure, figure, Panel, useLoaded, words } from "../ui";
import { Thumbnail } from "./batch";
import { currentOf, measured, notesOf, SHOWN } from "./figures";
import { Comparison, ModelDetails, Value } from "./model-details";

const text = t.dashboard;

export function ModelsPanel(props: {
  project: string;
  /** All classes of the project, background first. */
  classes: string[];
  version: string;
  admin: boolean;
  /** Reviewers and admins may see whose masks a model was trained on. */
  reviewer: boolean;
}) {
  const models = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/models", {
            params: {
              query: {
                project: props.project,
                ...page,
              },
            },
          }),
        ),
      ),
    props.version,
  );
  const [compared, setCompared] = useState<number[]>([]);
  const [opened, setOpened] = useState<Model | null>(null);
  const [detailed, setDetailed] = useState<Model | null>(null);
  const [error, setError] = useState<string | null>(null);
  const promote = async (id: number) => {
    try {
      await data(api.POST("/models/{model_id}/promote", { params: { path: { model_id: id } } }));
      await models.reload();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const found = models.value ?? [];
  const current = currentOf(found);
  const pair = compared.map((id) => found.find((model) => model.id === id)).filter(Boolean);
  return (
    <Panel title={text.models} wide>
      {models.error && <Failure error={models.error} retry={() => void models.reload()} />}
      {error && <Failure error={error} />}
      {found.length === 0 && <p>{text.noModel}</p>}
      {found.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">{text.compare}</th>
                {text.modelColumns.map((column) => (
                  <th scope="col" key={column}>
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {[...found].reverse().map((model) => (
                <tr key={model.id} data-model={model.number}>
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`${text.compare}: ${text.model(model.number)}`}
                      checked={compared.includes(model.id)}
                      onChange={(event) =>
                        setCompared(
                          event.currentTarget.checked
                            ? [...compared, model.id].slice(-2)
                            : compared.filter((id) => id !== model.id),
                        )
                      }
                    />
                  </td>
                  <td>
                    {text.model(model.number)} {model.id === current?.id && <em>{text.current}</em>}
                    {model.held_back && !model.promoted_at && <em>{t.figures.notUsed}</em>}
                    {notesOf(model).map((note) => (
                      <span class="note" key={note}>
                        {note}
                      </span>
                    ))}
                  </td>
                  <td class="number">
                    {props.reviewer ? (
                      <button
                        type="button"
                        class="quiet"
                        aria-haspopup="dialog"
                        onClick={() => setOpened(model)}
                      >
                        {model.training_masks.length}
                      </button>
                    ) : (
                      model.training_masks.length
                    )}
                  </td>
                  {SHOWN.slice(0, 2).map((shown) => (
                    <td class="number" key={shown.key}>
                      <Value figures={measured(model)?.figures ?? {}} shown={shown} />
                    </td>
                  ))}
                  <td class="number">{figure(model.seconds, 0)}</td>
                  <td>
                    <button
                      type="button"
                      class="quiet"
                      aria-haspopup="dialog"
                      aria-label={t.figures.of(model.number)}
                      onClick={() => setDetailed(model)}
                    >
                      {t.figures.details}
                    </button>{" "}
                    {model.removed.weights ? (
                      <span class="note">
                        {text.weightsRemoved(new Date(model.removed.weights).toLocaleDateString())}
                      </span>
                    ) : (
                      <a href={`/models/${model.id}/weights`}>{text.weights}</a>
                    )}{" "}
                    {props.admin && model.id !== current?.id && !model.removed.weights && (
                      <button type="button" onClick={() => void promote(model.id)}>
                        {text.promote}
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {pair.length === 2 && <Comparison one={pair[0]!} other={pair[1]!} classes={props.classes} />}
      {found.length > 1 && pair.length < 2 && <p class="small">{text.compareHint}</p>}
      {detailed && (
        <ModelDetails model={detailed} classes={props.classes} onClose={() => setDetailed(null)} />
      )}
      {opened && <TrainingMasks model={opened} onClose={() => setOpened(null)} />}
    </Panel>
  );
}

function TrainingMasks(props: { model: Model; onClose: () => void }) {
  const { id, number, training_masks } = props.model;
  const masks = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/models/{model_id}/masks", {
            params: { path: { model_id: id }, query: { ...page } },
          }),
        ),
      ),
    id,
  );
  return (
    <Dialog title={text.trainedOn(number, training_masks.length)} onClose={props.onClose}>
      {masks.error && <Failure error={masks.error} retry={() => void masks.reload()} />}
      <div class="gallery">
        {(masks.value ?? []).map((one) => (
          <figure key={one.mask}>
            <Thumbnail
              slice={one.slice}
              mask={one.mask}
              suggested={false}
              label={t.instruments.slice(one.case, one.index)}
            />
            <figcaption class="small">
              {one.case} · {one.index}
              <br />
              {one.author}
            </figcaption>
          </figure>
        ))}
      </div>
    </Dialog>
  );
}
