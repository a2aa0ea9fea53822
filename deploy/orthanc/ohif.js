// The configuration of an OHIF (app-config.js) that is served at the address of an Orthanc with DICOMweb.
// Angiograms of casgan-dicom are ordinary XA series there: the banner is in their frames.
const root = window.location.origin + '/dicom-web';
window.config = {
  routerBasename: '/',
  extensions: [],
  modes: [],
  showStudyList: true,
  maxNumberOfWebWorkers: 1,
  defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'orthanc',
    configuration: {
      name: 'orthanc', friendlyName: 'Orthanc', wadoUriRoot: root, qidoRoot: root, wadoRoot: root,
      qidoSupportsIncludeField: false, supportsReject: false, supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
    },
  }],
};
