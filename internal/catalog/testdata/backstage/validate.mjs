// Holds the entities in the files given against Backstage's own policies and the validator of each kind. Prints one line
// for each entity; the exit code is 1 when one is refused, and when there was none.
import { readFileSync } from 'node:fs';
import * as model from '@backstage/catalog-model';
import { parseAllDocuments } from 'yaml';

const policy = model.EntityPolicies.allOf([
  new model.SchemaValidEntityPolicy(),
  new model.DefaultNamespaceEntityPolicy(),
  new model.NoForeignRootFieldsEntityPolicy(),
  new model.FieldFormatEntityPolicy(),
]);
const kinds = {
  API: model.apiEntityV1alpha1Validator,
  Component: model.componentEntityV1alpha1Validator,
  System: model.systemEntityV1alpha1Validator,
};

let valid = 0;
for (const file of process.argv.slice(2)) {
  for (const doc of parseAllDocuments(readFileSync(file, 'utf8'))) {
    try {
      if (doc.errors.length > 0) throw doc.errors[0];
      const entity = await policy.enforce(doc.toJS());
      if (!entity) throw new Error('refused by a policy');
      if (!(await kinds[entity.kind]?.check(entity))) throw new Error(`not a ${entity.kind} that its validator knows`);
      console.log(`${file}: ${model.stringifyEntityRef(entity)}`);
      valid++;
    } catch (e) {
      console.error(`${file}: ${e.message}`);
      process.exitCode = 1;
    }
  }
}
if (valid === 0) process.exitCode = 1;
