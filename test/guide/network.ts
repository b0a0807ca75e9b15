/**
 * Two network namespaces with an address each, and a third one between them which passes on what they say: a switch, whose ports
 * can be pulled. Needs root and iproute2.
 *
 *   first: eth0 10.0.0.1 ---- port-1 [switch] port-2 ---- eth0 10.0.0.2 :second
 */
import { runHere } from '../support/overlay-root.js';

const MACHINES = ['first', 'second'] as const;
export type MachineName = (typeof MACHINES)[number];

const ADDRESSES: Readonly<Record<MachineName, string>> = { first: '10.0.0.1', second: '10.0.0.2' };

export class Network {
  readonly #prefix = `tally-${process.pid}`;
  readonly #made: string[] = [];

  static make(): Network {
    const network = new Network();
    try {
      network.#make();
    } catch (error) {
      network.remove();
      throw error;
    }
    return network;
  }

  /** For `ip netns exec`. */
  namespaceOf(machine: MachineName | 'switch'): string {
    return `${this.#prefix}-${machine}`;
  }

  #ip(...args: string[]): void {
    runHere('ip', args);
  }

  #make(): void {
    for (const name of [...MACHINES, 'switch'] as const) {
      this.#ip('netns', 'add', this.namespaceOf(name));
      this.#made.push(this.namespaceOf(name));
      this.#ip('-n', this.namespaceOf(name), 'link', 'set', 'lo', 'up');
    }
    const between = this.namespaceOf('switch');
    const passesOn = 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/all/proxy_arp';
    this.#ip('netns', 'exec', between, 'sh', '-c', passesOn);
    for (const machine of MACHINES) {
      const own = this.namespaceOf(machine);
      const port = this.#portOf(machine);
      this.#ip('-n', between, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', own);
      this.#ip('-n', own, 'address', 'add', `${ADDRESSES[machine]}/24`, 'dev', 'eth0');
      this.#ip('-n', own, 'link', 'set', 'eth0', 'up');
      this.plugIn(machine);
    }
  }

  #portOf(machine: MachineName): string {
    return `port-${MACHINES.indexOf(machine) + 1}`;
  }

  /** Its own side sees that the cable is dead; the other one sees nothing but silence. */
  pull(machine: MachineName): void {
    this.#ip('-n', this.namespaceOf('switch'), 'link', 'set', this.#portOf(machine), 'down');
  }

  plugIn(machine: MachineName): void {
    const between = this.namespaceOf('switch');
    this.#ip('-n', between, 'link', 'set', this.#portOf(machine), 'up');
    this.#ip('-n', between, 'route', 'replace', `${ADDRESSES[machine]}/32`, 'dev', this.#portOf(machine));
  }

  /** Precondition: nothing runs in it any more. */
  remove(): void {
    for (const name of this.#made.splice(0)) this.#ip('netns', 'delete', name);
  }
}
