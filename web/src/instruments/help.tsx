/** What each key does, and the pointer. */

import { t } from "../texts";
import { Dialog } from "../ui";
import { type Binding, printed } from "./keys";

const text = t.instruments;

export function HelpDialog(props: { bindings: Binding[]; onClose: () => void }) {
  return (
    <Dialog title={text.keysTitle} onClose={props.onClose}>
      <div class="keys">
        <dl>
          {props.bindings.map(({ keys, text: meaning }) => (
            <div key={keys[0]}>
              <dt>
                <kbd>{printed(keys[0])}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <dl>
          {text.pointerKeys.map(([what, meaning]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}
