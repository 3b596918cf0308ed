/** One tab annotates at a time: the newest takes over, the others step back and keep quiet. */

export class Tabs {
  private readonly channel: BroadcastChannel;

  constructor(account: string, steppedBack: () => void) {
    this.channel = new BroadcastChannel(`sfumato-annotate-${account}`);
    this.channel.onmessage = () => steppedBack();
  }

  /** Tell the other tabs that this one is drawn in. */
  takeOver(): void {
    this.channel.postMessage("taken over");
  }

  close(): void {
    this.channel.close();
  }
}
