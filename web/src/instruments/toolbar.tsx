/** The column of tools, and the steps of a drawing. */

import type { Can } from "../draw/board";
import { TOOLS, type ToolSettings } from "../draw/tool-settings";
import { t } from "../texts";

const text = t.instruments;
const TOOL_KEYS = {
  brush: "B",
  eraser: "E",
  polygon: "P",
  lasso: "L",
  fill: "F",
  grow: "G",
  accept: "A",
};

export function Toolbar(props: {
  tool: ToolSettings;
  onTool: (change: Partial<ToolSettings>) => void;
  disabled: boolean;
  can: Can;
  drawing: { undo(): void; redo(): void; clear(): void };
  hasSuggestion?: boolean;
  onCopy?: () => void;
  onAcceptAll?: () => void;
  onHelp?: () => void;
}) {
  const { tool, disabled, can, drawing } = props;
  const kinds = TOOLS.filter((kind) => kind !== "accept" || props.onAcceptAll);
  return (
    <div class="toolbar" role="toolbar" aria-label={text.toolbox} aria-orientation="vertical">
      {kinds.map((kind) => (
        <button
          key={kind}
          type="button"
          aria-pressed={tool.kind === kind}
          title={text.toolHints[kind]}
          disabled={disabled || (kind === "accept" && !props.hasSuggestion)}
          onClick={() => props.onTool({ kind })}
        >
          {text.tools[kind]} <kbd>{TOOL_KEYS[kind]}</kbd>
        </button>
      ))}
      <hr />
      {props.onAcceptAll && (
        <button
          type="button"
          disabled={disabled || !props.hasSuggestion}
          onClick={props.onAcceptAll}
        >
          {text.acceptAll} <kbd>⇧A</kbd>
        </button>
      )}
      <button type="button" disabled={disabled || !can.undo} onClick={() => drawing.undo()}>
        {text.undo} <kbd>Z</kbd>
      </button>
      <button type="button" disabled={disabled || !can.redo} onClick={() => drawing.redo()}>
        {text.redo} <kbd>Y</kbd>
      </button>
      {props.onCopy && (
        <button type="button" disabled={disabled} onClick={props.onCopy}>
          {text.copy} <kbd>C</kbd>
        </button>
      )}
      <button type="button" disabled={disabled} onClick={() => drawing.clear()}>
        {text.clear} <kbd>Del</kbd>
      </button>
      {props.onHelp && (
        <>
          <hr />
          <button type="button" onClick={props.onHelp}>
            {text.help} <kbd>?</kbd>
          </button>
        </>
      )}
    </div>
  );
}
