-- How Argo CD sees a ModelRollout: healthy when its stable revision serves, as Flux does (docs/gitops.md).
local health = {status = "Progressing", message = "The controller has not looked at it yet."}
if obj.status == nil then
  return health
end
if obj.status.phase == "Error" then
  return {status = "Degraded", message = obj.status.message}
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
health.message = obj.status.message
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" and condition.status == "True" then
    health.status = "Healthy"
  end
end
return health
