// Reads the entities in files of a catalogue as Backstage does: PlaceholderProcessor, its policies, then BuiltinKindsEntityProcessor.
// Arguments: the catalogue's folder, then files in it. Prints "FILE: ENTITY" for each entity and "ENTITY RELATION ENTITY" for each
// relation that Backstage makes of it; the exit code is 1 when one is refused, and when there was none.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as model from '@backstage/catalog-model';
import { ConfigReader } from '@backstage/config';
import { ScmIntegrations } from '@backstage/integration';
import { parseAllDocuments } from 'yaml';

const require = createRequire(import.meta.url);
const { BuiltinKindsEntityProcessor, PlaceholderProcessor } = require('@backstage/plugin-catalog-backend');
const { textPlaceholderResolver } = require('./node_modules/@backstage/plugin-catalog-backend/dist/processors/PlaceholderProcessor.cjs.js');

const policy = model.EntityPolicies.allOf([
  new model.SchemaValidEntityPolicy(),
  new model.DefaultNamespaceEntityPolicy(),
  new model.NoForeignRootFieldsEntityPolicy(),
  new model.FieldFormatEntityPolicy(),
]);
const [root, ...files] = process.argv.slice(2);
const home = 'https://github.com/acme/catalog/'; // where Backstage would read the catalogue
const placeholders = new PlaceholderProcessor({
  resolvers: { text: textPlaceholderResolver },
  integrations: ScmIntegrations.fromConfig(new ConfigReader({})),
  reader: {
    readUrl: async url => {
      const path = url.startsWith(home) && /^(?:tree|blob)\/main\/(.+)$/.exec(url.slice(home.length));
      if (!path) throw new Error(`${url} is not in the catalogue`);
      return { buffer: async () => readFileSync(`${root}/${path[1]}`) };
    },
  },
});
const kinds = new BuiltinKindsEntityProcessor();

let valid = 0;
for (const file of files) {
  const location = { type: 'url', target: `${home}blob/main/${file}` };
  for (const doc of parseAllDocuments(readFileSync(`${root}/${file}`, 'utf8'))) {
    try {
      if (doc.errors.length > 0) throw doc.errors[0];
      let entity = await placeholders.preProcessEntity(doc.toJS(), location, () => {});
      entity = await kinds.preProcessEntity(entity);
      entity = await policy.enforce(entity);
      if (!entity) throw new Error('refused by a policy');
      if (!(await kinds.validateEntityKind(entity))) throw new Error(`not a ${entity.kind} that its validator knows`);
      const relations = [];
      await kinds.postProcessEntity(entity, location, result => relations.push(result.relation));
      console.log(`${file}: ${model.stringifyEntityRef(entity)}`);
      for (const r of relations) {
        console.log(`${model.stringifyEntityRef(r.source)} ${r.type} ${model.stringifyEntityRef(r.target)}`);
      }
      valid++;
    } catch (e) {
      console.error(`${file}: ${e.message}`);
      process.exitCode = 1;
    }
  }
}
if (valid === 0) process.exitCode = 1;
