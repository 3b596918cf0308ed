/** Which window preset each channel of a project was last looked at with, in this browser. */

const KEY = "sfumato-presets-";

export class KeptPresets {
  private readonly presets: Record<string, unknown>;

  constructor(private readonly project: string) {
    this.presets = this.read();
  }

  /** The preset of a channel; undefined where none was chosen. */
  get(channel: string): string | undefined {
    const kept = Object.hasOwn(this.presets, channel) ? this.presets[channel] : undefined;
    return typeof kept === "string" ? kept : undefined;
  }

  set(channel: string, preset: string): void {
    this.presets[channel] = preset;
    try {
      localStorage.setItem(KEY + this.project, JSON.stringify(this.presets));
    } catch {
      // A browser that keeps nothing shows the first preset again next time.
    }
  }

  private read(): Record<string, unknown> {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(KEY + this.project) ?? "{}");
      return typeof kept === "object" && kept !== null ? { ...kept } : {};
    } catch {
      return {};
    }
  }
}
