/** `netferry doctor` */
import type { Command } from 'commander';
import type { Check } from '../daemon/doctor_check.js';
import type { Attach, Context } from './context.js';
import { painter, printJson } from './io.js';
import { table } from './text.js';

export function addDoctor(program: Command, attach: Attach): void {
  const command = program
    .command('doctor')
    .description('what this kernel and user can do, what is missing and what that costs')
    .addHelpText(
      'after',
      '\nExit code 0 when frames can be carried here, 1 when something needed is missing.\n',
    );
  attach(command, doctor);
}

async function doctor({ io, directory, json }: Context): Promise<number> {
  const { examine, isFit } = await import('../daemon/doctor.js');
  const checks = await examine(directory, io.uid);
  const fit = isFit(checks);
  if (json) printJson(io, { fit, checks });
  else {
    const paint = painter(io, io.stdout);
    const verdict = (check: Check) =>
      check.ok ? paint('green', 'ok') : check.required ? paint('red', 'MISSING') : paint('yellow', 'missing');
    const rows = checks.map((check) => [check.name, verdict(check), check.found, check.ok ? '' : check.cost]);
    io.stdout.write(
      table(
        ['CHECK', '', 'FOUND', 'WITHOUT IT THERE IS NO'].map((name) => paint('dim', name)),
        rows,
      ),
    );
    io.stdout.write(
      fit
        ? `\n${paint('green', 'netferry can run here.')} Try: netferry demo\n`
        : `\n${paint('red', 'netferry cannot run here')} until what is MISSING is there.\n`,
    );
  }
  return fit ? 0 : 1;
}
