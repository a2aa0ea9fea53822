-- Orthanc sends every series of X-ray cine to the node, once it is stable, and never back what a node has made.
--
-- "LuaScripts": ["route.lua"] in the configuration of Orthanc; NODE is the node's name in its DicomModalities, and
-- TITLE its AE title. What is synthetic is known by Synthetic Data (0008,001C), which everything carries that
-- casgan-dicom has made; and by who sent it, in case another archive has taken that out on the way.

NODE = 'casgan'
TITLE = 'CASGAN'
MODALITIES = { XA = true, RF = true }

local function firstInstance(series)
  return ParseJson(RestApiGet('/series/' .. series))['Instances'][1]
end

local function isMadeByNode(instance)
  local header = ParseJson(RestApiGet('/instances/' .. instance .. '/tags?short'))
  return header['0008,001c'] == 'YES'
end

local function isSentByNode(instance)
  local path = '/instances/' .. instance .. '/metadata'
  for _, name in ipairs(ParseJson(RestApiGet(path))) do
    if name == 'RemoteAET' then
      return RestApiGet(path .. '/RemoteAET') == TITLE
    end
  end
  return false  -- it came over the web
end

function OnStableSeries(series, tags, metadata)
  local instance = firstInstance(series)
  if MODALITIES[tags['Modality']] and not isMadeByNode(instance) and not isSentByNode(instance) then
    RestApiPost('/modalities/' .. NODE .. '/store', DumpJson({ Resources = { series }, Asynchronous = true }))
  end
end
